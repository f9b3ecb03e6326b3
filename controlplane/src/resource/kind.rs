//! Which kind of document a pair of `apiVersion` and `kind` names, and what becomes of it.

use ringmain_config::problem::{Severity, nearest};

use super::{credential::CredentialKind, cursor::Fault, gateway_api::RouteKind};

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gateway,
    VirtualService,
    DestinationRule,
    ServiceEntry,
    WorkloadEntry,
    Sidecar,
    Service,
    /// Of PEM texts: v1 Secret and ConfigMap.
    Credential(CredentialKind),
    PeerAuthentication,
    /// Of the Gateway API, which has the name in common with Istio.
    ApiGateway,
    ApiRoute(RouteKind),
    /// v1 List, whose items are documents.
    List,
}

/// What becomes of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is read.
    Read(Kind),
    /// It is not, and this says why.
    Left(Severity, Fault),
}

/// What becomes of a document of this `apiVersion` and `kind`.
pub(super) fn fate(api_version: &str, kind: &str) -> Fate {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let Some(api) = APIS.iter().find(|api| api.group == group) else {
        return Fate::Left(Severity::Error, unknown_group(group, api_version, kind));
    };
    if !api.versions.is_empty() && !api.versions.contains(&version) {
        return Fate::Left(Severity::Error, unknown_version(api, version));
    }
    if let Some((_, kind)) = api.read.iter().find(|(name, _)| *name == kind) {
        return Fate::Read(*kind);
    }
    if api.refused.contains(&kind) {
        let message = format!(
            "{kind} of {group} is not supported yet, and without it security would be weaker"
        );
        let hint = "remove it only if doing without is safe";
        return Fate::Left(Severity::Error, Fault::new(message).hint(hint));
    }
    if api.later.contains(&kind) {
        let message = format!("{kind} of {group} is not supported yet: nothing of it is applied");
        return Fate::Left(Severity::Warning, message.into());
    }
    if let Some((_, reason)) = api.accepted.iter().find(|(name, _)| *name == kind) {
        let message = format!("{kind} is read and has no effect: {reason}");
        return Fate::Left(Severity::Warning, message.into());
    }
    if api.ignored.contains(&kind) {
        let message = format!("{kind} means nothing on a host: it is ignored");
        return Fate::Left(Severity::Warning, message.into());
    }
    Fate::Left(Severity::Error, unknown_kind(api, kind))
}

/// A group of kinds.
struct Api {
    group: &'static str,
    /// Empty: any.
    versions: &'static [&'static str],
    read: &'static [(&'static str, Kind)],
    /// Not yet, and nothing is less secure for it.
    later: &'static [&'static str],
    /// Not yet, and something would be less secure without it.
    refused: &'static [&'static str],
    /// Without meaning on a host.
    ignored: &'static [&'static str],
    /// As these, and why, as the rest of a sentence.
    accepted: &'static [(&'static str, &'static str)],
}

impl Api {
    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let read = self.read.iter().map(|(name, _)| *name);
        let accepted = self.accepted.iter().map(|(name, _)| *name);
        let others = [self.later, self.refused, self.ignored];
        let read = read.chain(accepted);
        read.chain(others.into_iter().flatten().copied())
    }
}

const NONE: Api = Api {
    group: "",
    versions: &[],
    read: &[],
    later: &[],
    refused: &[],
    ignored: &[],
    accepted: &[],
};

static APIS: &[Api] = &[
    Api {
        group: "networking.istio.io",
        versions: &["v1", "v1beta1", "v1alpha3"],
        read: &[
            ("Gateway", Kind::Gateway),
            ("VirtualService", Kind::VirtualService),
            ("DestinationRule", Kind::DestinationRule),
            ("ServiceEntry", Kind::ServiceEntry),
            ("WorkloadEntry", Kind::WorkloadEntry),
            ("Sidecar", Kind::Sidecar),
        ],
        later: &["WorkloadGroup", "ProxyConfig", "EnvoyFilter"],
        ..NONE
    },
    Api {
        group: "security.istio.io",
        versions: &["v1", "v1beta1"],
        read: &[("PeerAuthentication", Kind::PeerAuthentication)],
        refused: &["AuthorizationPolicy", "RequestAuthentication"],
        ..NONE
    },
    Api {
        group: "telemetry.istio.io",
        versions: &["v1", "v1alpha1"],
        later: &["Telemetry"],
        ..NONE
    },
    Api {
        group: "extensions.istio.io",
        versions: &["v1alpha1"],
        later: &["WasmPlugin", "TrafficExtension"],
        ..NONE
    },
    Api {
        group: "install.istio.io",
        ignored: &["IstioOperator"],
        ..NONE
    },
    Api {
        group: "gateway.networking.k8s.io",
        versions: &["v1", "v1beta1", "v1alpha2", "v1alpha3"],
        read: &[
            ("Gateway", Kind::ApiGateway),
            ("HTTPRoute", Kind::ApiRoute(RouteKind::Http)),
            ("GRPCRoute", Kind::ApiRoute(RouteKind::Grpc)),
        ],
        later: &["TLSRoute", "TCPRoute", "UDPRoute", "ListenerSet"],
        refused: &["BackendTLSPolicy"],
        accepted: &[
            (
                "GatewayClass",
                "Gateways of every class are served by these proxies",
            ),
            (
                "ReferenceGrant",
                "on a host the files have one owner, and references need no grant",
            ),
        ],
        ..NONE
    },
    Api {
        group: "gateway.networking.x-k8s.io",
        versions: &["v1alpha1"],
        later: &["XListenerSet", "XBackendTrafficPolicy", "XMesh"],
        ..NONE
    },
    Api {
        group: "",
        versions: &["v1"],
        read: &[
            ("Service", Kind::Service),
            ("Secret", Kind::Credential(CredentialKind::Secret)),
            ("ConfigMap", Kind::Credential(CredentialKind::ConfigMap)),
            ("List", Kind::List),
        ],
        ignored: &[
            "Endpoints",
            "Event",
            "LimitRange",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "ServiceAccount",
        ],
        ..NONE
    },
    Api {
        group: "apps",
        ignored: &[
            "ControllerRevision",
            "DaemonSet",
            "Deployment",
            "ReplicaSet",
            "StatefulSet",
        ],
        ..NONE
    },
    Api {
        group: "batch",
        ignored: &["CronJob", "Job"],
        ..NONE
    },
    Api {
        group: "autoscaling",
        ignored: &["HorizontalPodAutoscaler"],
        ..NONE
    },
    Api {
        group: "policy",
        ignored: &["PodDisruptionBudget"],
        ..NONE
    },
    Api {
        group: "networking.k8s.io",
        refused: &["NetworkPolicy"],
        later: &["Ingress", "IngressClass"],
        ..NONE
    },
    Api {
        group: "discovery.k8s.io",
        ignored: &["EndpointSlice"],
        ..NONE
    },
    Api {
        group: "rbac.authorization.k8s.io",
        ignored: &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        ..NONE
    },
    Api {
        group: "storage.k8s.io",
        ignored: &["StorageClass", "VolumeAttachment"],
        ..NONE
    },
    Api {
        group: "scheduling.k8s.io",
        ignored: &["PriorityClass"],
        ..NONE
    },
    Api {
        group: "apiextensions.k8s.io",
        ignored: &["CustomResourceDefinition"],
        ..NONE
    },
    Api {
        group: "admissionregistration.k8s.io",
        ignored: &[
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
        ..NONE
    },
    Api {
        group: "kustomize.config.k8s.io",
        ignored: &["Component", "Kustomization"],
        ..NONE
    },
];

fn unknown_group(group: &str, api_version: &str, kind: &str) -> Fault {
    let fault = Fault::new(format!("there is no apiVersion `{api_version}`"));
    let groups = || APIS.iter().map(|api| api.group);
    // `apiVersion: v1beta` has no group, but is a slip of a version rather than of a group.
    let named = groups().filter(|group| !group.is_empty());
    if let Some(nearest) = nearest(group, named) {
        return fault.hint(format!("did you mean `{nearest}/{}`?", version_of(nearest)));
    }
    match APIS.iter().find(|api| api.kinds().any(|name| name == kind)) {
        Some(api) => fault.hint(format!(
            "{kind} is of {}",
            shown(api, version_of(api.group))
        )),
        None => fault,
    }
}

fn version_of(group: &str) -> &'static str {
    let versions = APIS.iter().find(|api| api.group == group);
    versions
        .and_then(|api| api.versions.first())
        .unwrap_or(&"v1")
}

fn unknown_version(api: &Api, version: &str) -> Fault {
    let versions: Vec<String> = api
        .versions
        .iter()
        .map(|version| format!("`{}`", shown(api, version)))
        .collect();
    Fault::new(format!("there is no apiVersion `{}`", shown(api, version)))
        .hint(format!("use {}", versions.join(" or ")))
}

fn shown(api: &Api, version: &str) -> String {
    match api.group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

fn unknown_kind(api: &Api, kind: &str) -> Fault {
    let group = shown(api, version_of(api.group));
    let fault = Fault::new(format!("there is no kind `{kind}` in {group}"));
    if let Some(nearest) = nearest(kind, api.kinds()) {
        return fault.hint(format!("did you mean `{nearest}`?"));
    }
    match APIS.iter().find(|api| api.kinds().any(|name| name == kind)) {
        Some(other) => fault.hint(format!(
            "{kind} is of `{}`",
            shown(other, version_of(other.group))
        )),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(api_version: &str, kind: &str, expected: Fate) {
        assert_eq!(fate(api_version, kind), expected, "{api_version} {kind}");
    }

    fn error(message: &str, hint: &str) -> Fate {
        Fate::Left(Severity::Error, Fault::new(message).hint(hint))
    }

    #[test]
    fn known_kinds() {
        for version in ["v1", "v1beta1", "v1alpha3"] {
            let api_version = format!("networking.istio.io/{version}");
            check(&api_version, "Gateway", Fate::Read(Kind::Gateway));
            check(&api_version, "Sidecar", Fate::Read(Kind::Sidecar));
        }
        check("v1", "Service", Fate::Read(Kind::Service));
        let api = "gateway.networking.k8s.io/v1";
        check(api, "Gateway", Fate::Read(Kind::ApiGateway));
        check(
            api,
            "GRPCRoute",
            Fate::Read(Kind::ApiRoute(RouteKind::Grpc)),
        );
    }

    #[test]
    fn kinds_that_are_left() {
        let warning = |message: &str| Fate::Left(Severity::Warning, message.into());
        check(
            "gateway.networking.k8s.io/v1",
            "TLSRoute",
            warning(
                "TLSRoute of gateway.networking.k8s.io is not supported yet: nothing of it \
is applied",
            ),
        );
        check(
            "gateway.networking.k8s.io/v1",
            "GatewayClass",
            warning(
                "GatewayClass is read and has no effect: Gateways of every class are served by \
                 these proxies",
            ),
        );
        check(
            "apps/v1",
            "Deployment",
            warning("Deployment means nothing on a host: it is ignored"),
        );
        check(
            "security.istio.io/v1",
            "RequestAuthentication",
            error(
                "RequestAuthentication of security.istio.io is not supported yet, and without it \
                 security would be weaker",
                "remove it only if doing without is safe",
            ),
        );
    }

    #[test]
    fn unknown_names() {
        for (api_version, kind, message, hint) in [
            (
                "networking.istio.io/v1",
                "VirtualServices",
                "there is no kind `VirtualServices` in networking.istio.io/v1",
                "did you mean `VirtualService`?",
            ),
            (
                "networking.istio.io/v2",
                "Gateway",
                "there is no apiVersion `networking.istio.io/v2`",
                "use `networking.istio.io/v1` or `networking.istio.io/v1beta1` or \
                 `networking.istio.io/v1alpha3`",
            ),
            (
                "network.istio.io/v1",
                "Gateway",
                "there is no apiVersion `network.istio.io/v1`",
                "did you mean `networking.istio.io/v1`?",
            ),
            (
                "v1",
                "VirtualService",
                "there is no kind `VirtualService` in v1",
                "VirtualService is of `networking.istio.io/v1`",
            ),
            ("v2", "Service", "there is no apiVersion `v2`", "use `v1`"),
        ] {
            check(api_version, kind, error(message, hint));
        }
    }
}

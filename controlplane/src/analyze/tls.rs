//! TLS of which one side is not what the other expects.

use super::Findings;
use crate::resource::{
    credential::CredentialKind,
    destination_rule::DestinationRule,
    gateway::Gateway,
    metadata::Labels,
    peer_authentication::{MutualTls, PeerAuthentication},
    tls::{ClientMode, KeyPair},
};

impl Findings<'_> {
    /// Plain text, or TLS that is not the mesh's, to workloads that take only the mesh's.
    pub(super) fn tls_of_rule(&mut self, rule: &DestinationRule) {
        let world = self.world;
        let top = rule.settings(None, 0).tls;
        if let Some(settings) = top.filter(|tls| tls.mode == ClientMode::IstioMutual)
            && world.settings().identity.is_none()
        {
            let message = "workloads have no identities yet: connections fail".to_owned();
            let hint = "write MUTUAL with certificates of your own".to_owned();
            let path = "spec.trafficPolicy.tls.mode";
            self.warn(&rule.metadata, settings.span, path, message, Some(hint));
        }
        let Some(service) = world.registry().service(&rule.host) else {
            return;
        };
        for port in &service.ports {
            let settings = rule.settings(None, port.number).tls;
            let Some(settings) = settings.filter(|tls| tls.mode != ClientMode::IstioMutual) else {
                continue;
            };
            let is_strict = |workload: &crate::registry::Workload, number| {
                let mode = world.mutual_tls(&workload.namespace, &workload.labels, number);
                mode == MutualTls::Strict
            };
            let endpoints = service.endpoints(port, &Labels::new(), is_strict);
            let Some(strict) = endpoints.iter().find(|endpoint| endpoint.is_in_mesh) else {
                continue;
            };
            let message = format!(
                "port {} of {} is not called with the mesh's TLS, and {} takes nothing else \
                 (PeerAuthentication STRICT): connections fail",
                port.number, service.host, strict.address
            );
            let hint = "write ISTIO_MUTUAL, remove `tls`, or let the workload take both \
                        (PERMISSIVE)";
            let path = "spec.trafficPolicy.tls.mode";
            let hint = Some(hint.to_owned());
            self.warn(&rule.metadata, settings.span, path, message, hint);
        }
    }

    /// A policy that nobody can hold to, since no workload has an identity to show.
    pub(super) fn strictness_without_identity(&mut self, policy: &PeerAuthentication) {
        if self.world.settings().identity.is_some() {
            return;
        }
        let is_strict = |mode: &Option<MutualTls>| *mode == Some(MutualTls::Strict);
        let whole = policy.mode.as_ref();
        let whole = whole.filter(|mode| mode.value == MutualTls::Strict);
        let ports = policy.ports.iter();
        let mut ports = ports.filter(|(_, mode)| is_strict(&mode.value));
        let found = whole
            .map(|mode| (mode.span, "spec.mtls.mode".to_owned()))
            .or_else(|| {
                let (port, mode) = ports.next()?;
                Some((mode.span, format!("spec.portLevelMtls.{port}.mode")))
            });
        if let Some((span, path)) = found {
            let message = "STRICT is not supported yet, since workloads have no identities: plain \
                           text is still taken";
            let hint = "remove it only if doing without is safe";
            self.error(&policy.metadata, span, &path, message, hint);
        }
    }

    /// Credentials that are no Secret anywhere: what is looked for instead.
    pub(super) fn credentials_of_gateway(&mut self, gateway: &Gateway) {
        for (index, server) in gateway.servers.iter().enumerate() {
            let pairs = server.tls.iter().flat_map(|tls| &tls.certificates);
            for pair in pairs {
                let KeyPair::Credential(name) = pair else {
                    continue;
                };
                let directory = self.world.settings().credentials.join(&name.value);
                if self.is_secret(&name.value) || directory.join("tls.crt").exists() {
                    continue;
                }
                let message = format!(
                    "there is no Secret `{}`, and no file {} here: without them the server's \
                     hosts are not served",
                    name.value,
                    directory.join("tls.crt").display()
                );
                let hint = "add the Secret to the namespace of the gateway's proxy, or `tls.crt` \
                            and `tls.key` to the directory on its host";
                let path = format!("spec.servers[{index}].tls.credentialName");
                let hint = Some(hint.to_owned());
                self.warn_missing(&gateway.metadata, name.span, &path, message, hint);
            }
        }
    }

    /// In whichever namespace: that of the proxies is not known here.
    fn is_secret(&self, name: &str) -> bool {
        self.world.credentials().any(|credential| {
            let metadata = &credential.metadata;
            let is_named = match name.split_once('/') {
                Some((namespace, name)) => metadata.namespace == namespace && metadata.name == name,
                None => metadata.name == name,
            };
            credential.kind == CredentialKind::Secret && is_named
        })
    }
}

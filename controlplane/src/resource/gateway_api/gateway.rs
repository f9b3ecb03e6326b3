//! gateway.networking.k8s.io Gateway: listeners, and which routes they take.

use std::{collections::HashSet, net::IpAddr};

use super::{GROUP, RouteKind, form};
use crate::resource::{
    cursor::{Cursor, Fault, Report},
    document, format,
    metadata::{self, Labels, Metadata},
    schema::{Choice, Field, LABELS, PORT, Shape, TEXTS},
    span::Spanned,
};

/// Ports that a proxy opens to the outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Who it is.
    pub metadata: Metadata,
    /// In the order written. Those of a protocol that is not served are left out, which was
    /// reported.
    pub listeners: Vec<Spanned<Listener>>,
    /// Where its listeners listen; empty: at every address.
    pub addresses: Vec<IpAddr>,
}

/// A port for HTTP and the routes that may use it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Unique in its Gateway.
    pub name: String,
    /// Never 0.
    pub port: u16,
    /// `*.x` or a name, in lower case; absent: every host.
    pub hostname: Option<Spanned<String>>,
    /// Which routes may be attached.
    pub allowed: AllowedRoutes,
}

impl Listener {
    /// The hosts it takes requests for: `*` for all.
    pub fn host(&self) -> &str {
        self.hostname.as_ref().map_or("*", |host| &host.value)
    }
}

/// Which routes may be attached to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRoutes {
    /// Of which namespaces.
    pub namespaces: Namespaces,
    /// Of which kinds.
    pub kinds: Vec<RouteKind>,
}

/// Namespaces of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// That of the Gateway.
    Same,
    /// Every one.
    All,
    /// None at all.
    None,
    /// Those whose labels meet all of these.
    Selected(Vec<Requirement>),
}

impl Namespaces {
    /// Routes of `namespace` may be attached to a Gateway of namespace `own`.
    pub fn include(&self, namespace: &str, own: &str) -> bool {
        match self {
            Self::Same => namespace == own,
            Self::All => true,
            Self::None => false,
            Self::Selected(requirements) => requirements
                .iter()
                .all(|requirement| requirement.is_met_by(namespace)),
        }
    }
}

/// A condition on the labels of a namespace. On a host namespaces are only names, and have the one
/// label that Kubernetes gives to all of them: [`NAMESPACE_LABEL`] with their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The label is there with one of these values.
    In(String, Vec<String>),
    /// The label is not there, or has none of these values.
    NotIn(String, Vec<String>),
    /// The label is there.
    Exists(String),
    /// The label is not there.
    DoesNotExist(String),
}

impl Requirement {
    fn is_met_by(&self, namespace: &str) -> bool {
        let has_value = |values: &[String]| values.iter().any(|value| value.as_str() == namespace);
        match self {
            Self::In(label, values) => label == NAMESPACE_LABEL && has_value(values),
            Self::NotIn(label, values) => label != NAMESPACE_LABEL || !has_value(values),
            Self::Exists(label) => label == NAMESPACE_LABEL,
            Self::DoesNotExist(label) => label != NAMESPACE_LABEL,
        }
    }
}

/// The only label that namespaces have.
pub(super) const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

static SPEC: [Field; 8] = [
    Field::new("gatewayClassName", Shape::Form(format::dns_name)).required(),
    Field::new("listeners", Shape::FullList(&Shape::Object(&LISTENER))).required(),
    Field::new("addresses", Shape::List(&Shape::Object(&ADDRESS))),
    Field::new("infrastructure", Shape::Object(&INFRASTRUCTURE)),
    Field::new("allowedListeners", Shape::Any).later("no ListenerSet adds to it"),
    Field::new("backendTLS", Shape::Any).refused("backends would not be sent its certificate"),
    Field::new("tls", Shape::Any).refused("no certificate would be asked for or checked"),
    Field::new("defaultScope", Shape::Text).later("routes must name the Gateway"),
];

/// The whole document.
pub(in super::super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static LISTENER: [Field; 6] = [
    Field::new("name", Shape::Form(format::dns_name)).required(),
    Field::new("hostname", Shape::Form(empty_or_hostname)),
    Field::new("port", PORT).required(),
    Field::new("protocol", Shape::Choice(&PROTOCOLS)).required(),
    Field::new("tls", Shape::Any),
    Field::new("allowedRoutes", Shape::Object(&ALLOWED_ROUTES)),
];

static PROTOCOLS: [Choice; 5] = [
    Choice::new("HTTP"),
    Choice::new("HTTPS").refused("nothing would listen on the port"),
    Choice::new("TLS").refused("nothing would listen on the port"),
    Choice::new("TCP").later("nothing listens on the port; use a networking.istio.io Gateway"),
    Choice::new("UDP").later("nothing listens on the port"),
];

static ALLOWED_ROUTES: [Field; 2] = [
    Field::new("namespaces", Shape::Object(&NAMESPACES)),
    Field::new("kinds", Shape::List(&Shape::Object(&KIND))),
];

static NAMESPACES: [Field; 2] = [
    Field::new("from", Shape::Choice(&FROM)),
    Field::new("selector", Shape::Object(&SELECTOR)),
];

static FROM: [Choice; 4] = [
    Choice::new("Same"),
    Choice::new("All"),
    Choice::new("Selector"),
    Choice::new("None"),
];

static SELECTOR: [Field; 2] = [
    Field::new("matchLabels", LABELS),
    Field::new("matchExpressions", Shape::List(&Shape::Object(&EXPRESSION))),
];

static EXPRESSION: [Field; 3] = [
    Field::new("key", Shape::Form(format::label_name)).required(),
    Field::new("operator", Shape::Choice(&OPERATORS)).required(),
    Field::new("values", TEXTS),
];

static OPERATORS: [Choice; 4] = [
    Choice::new("In"),
    Choice::new("NotIn"),
    Choice::new("Exists"),
    Choice::new("DoesNotExist"),
];

static KIND: [Field; 2] = [
    Field::new("group", Shape::Text),
    Field::new("kind", Shape::Form(format::api_name)).required(),
];

static ADDRESS: [Field; 2] = [
    Field::new("type", Shape::Text),
    Field::new("value", Shape::Text),
];

// What would be made of it is a Deployment.
static INFRASTRUCTURE: [Field; 3] = [
    Field::new("labels", Shape::Any).inert(),
    Field::new("annotations", Shape::Any).inert(),
    Field::new("parametersRef", Shape::Any).inert(),
];

fn empty_or_hostname(text: &str) -> Result<(), Fault> {
    match text {
        "" => Ok(()),
        text => form::hostname(text),
    }
}

/// Reads what [`DOCUMENT`] describes.
pub(in super::super) fn read(
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<Gateway> {
    let mut listeners = Vec::with_capacity(spec.length_of("listeners"));
    let mut names = HashSet::new();
    let mut places = HashSet::new();
    for at in spec.each_of_list("listeners") {
        let Some(listener) = read_listener(&at, report) else {
            continue;
        };
        if !names.insert(listener.name.clone()) {
            let message = format!("two listeners are named `{}`", listener.name);
            report.error(&at, message);
        }
        if !places.insert((listener.port, listener.host().to_owned())) {
            let port = listener.port;
            let message = format!("another listener has port {port} for `{}`", listener.host());
            report.error(
                &at,
                Fault::new(message).hint("give it another `hostname` or `port`"),
            );
        }
        listeners.push(at.spanned(listener));
    }
    Some(Gateway {
        listeners,
        addresses: read_addresses(spec, report),
        metadata,
    })
}

/// None when nothing is to be opened for it, which was reported.
fn read_listener(at: &Cursor<'_>, report: &mut Report) -> Option<Listener> {
    let protocol = at.text_of("protocol")?;
    if protocol == "HTTP"
        && let Some(tls) = at.field("tls")
    {
        let fault = Fault::new("`tls` has no meaning with the protocol HTTP");
        report.error(
            &tls,
            fault.hint("remove it: the port is served in plain text"),
        );
    }
    let hostname = at.field("hostname").and_then(|field| {
        let text = field.text().filter(|text| !text.is_empty())?;
        Some(field.spanned(text.to_ascii_lowercase()))
    });
    let listener = Listener {
        name: at.text_of("name")?.to_owned(),
        port: at.integer_of("port")?,
        hostname,
        allowed: AllowedRoutes {
            namespaces: read_namespaces(at, report),
            kinds: read_kinds(at, report),
        },
    };
    (protocol == "HTTP").then_some(listener)
}

fn read_namespaces(at: &Cursor<'_>, report: &mut Report) -> Namespaces {
    let allowed = at.field("allowedRoutes");
    let Some(at) = allowed.and_then(|allowed| allowed.field("namespaces")) else {
        return Namespaces::Same;
    };
    match at.text_of("from") {
        None | Some("Same") => Namespaces::Same,
        Some("All") => Namespaces::All,
        Some("Selector") => match at.field("selector") {
            Some(selector) => Namespaces::Selected(read_selector(&selector, report)),
            None => {
                report.missing(&at, "selector");
                Namespaces::None
            }
        },
        Some(_) => Namespaces::None,
    }
}

fn read_selector(at: &Cursor<'_>, report: &mut Report) -> Vec<Requirement> {
    let labels: Labels = metadata::labels(at, "matchLabels");
    let mut requirements: Vec<Requirement> = labels
        .into_iter()
        .map(|(label, value)| Requirement::In(label, vec![value]))
        .collect();
    for expression in at.each_of_list("matchExpressions") {
        requirements.extend(read_expression(&expression));
    }
    let label = requirements.iter().map(|requirement| match requirement {
        Requirement::In(label, _)
        | Requirement::NotIn(label, _)
        | Requirement::Exists(label)
        | Requirement::DoesNotExist(label) => label,
    });
    if let Some(label) = label.into_iter().find(|label| *label != NAMESPACE_LABEL) {
        let fault = Fault::new(format!(
            "on a host no namespace has the label `{label}`: what asks for it selects none"
        ));
        let hint = format!("select by `{NAMESPACE_LABEL}`, or write `from: All`");
        report.warning(at, fault.hint(hint));
    }
    requirements
}

fn read_expression(at: &Cursor<'_>) -> Option<Requirement> {
    let label = at.text_of("key")?.to_owned();
    let values = at.each_of_list("values");
    let values = values.filter_map(|value| value.text().map(str::to_owned));
    Some(match at.text_of("operator")? {
        "In" => Requirement::In(label, values.collect()),
        "NotIn" => Requirement::NotIn(label, values.collect()),
        "Exists" => Requirement::Exists(label),
        _ => Requirement::DoesNotExist(label),
    })
}

/// All that a listener for HTTP takes, when the file names none.
fn read_kinds(at: &Cursor<'_>, report: &mut Report) -> Vec<RouteKind> {
    let all = || vec![RouteKind::Http, RouteKind::Grpc];
    let Some(allowed) = at.field("allowedRoutes") else {
        return all();
    };
    if allowed.length_of("kinds") == 0 {
        return all();
    }
    let mut kinds = Vec::new();
    for at in allowed.each_of_list("kinds") {
        let group = at.text_of("group").unwrap_or(GROUP);
        match (group, at.text_of("kind").unwrap_or_default()) {
            (GROUP, "HTTPRoute") => kinds.push(RouteKind::Http),
            (GROUP, "GRPCRoute") => kinds.push(RouteKind::Grpc),
            (_, kind) => {
                let kind = format::shown(kind);
                let message = format!("no {kind} can be attached to a listener for HTTP");
                report.warning(&at, Fault::new(message).hint("use HTTPRoute or GRPCRoute"));
            }
        }
    }
    kinds
}

fn read_addresses(spec: &Cursor<'_>, report: &mut Report) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for at in spec.each_of_list("addresses") {
        let kind = at.text_of("type").unwrap_or("IPAddress");
        let value = at.field("value");
        let text = value.as_ref().and_then(|value| value.text());
        match (kind, text.filter(|text| !text.is_empty())) {
            ("IPAddress", Some(text)) => match text.parse() {
                Ok(address) if !addresses.contains(&address) => addresses.push(address),
                Ok(_) => report.error(&at, format!("the address {text} stands here twice")),
                Err(_) => {
                    let fault = format::ip_address(text).err();
                    let at = value.unwrap_or(at);
                    fault.into_iter().for_each(|fault| report.error(&at, fault));
                }
            },
            ("IPAddress", None) => {
                report.error(
                    &at,
                    Fault::new("no address can be chosen on a host")
                        .hint("name one, or remove `addresses`: every address is listened on"),
                );
            }
            (kind, _) => {
                let kind = format::shown(kind);
                let fault = Fault::new(format!("nothing can listen at an address of type {kind}"));
                report.error(&at, fault.hint("use the type IPAddress"));
            }
        }
    }
    addresses
}

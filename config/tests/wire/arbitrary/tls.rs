//! Secrets and TLS with every field in use now and then.

use std::{path::PathBuf, sync::Arc};

use proptest::{collection::vec, option, prelude::*};
use ringmain_config::{
    listener::ListenerProtocol,
    secret::{Confidential, InlineSecret, Secret, SecretFiles, SecretSource},
    tls::{
        ClientCertificate, ClientTls, ListenerTls, MinVersion, PeerNames, PeerRules,
        ServerNameToAsk, ServerTls, TlsAction, TlsChain, TlsParameters, Trust,
    },
};

use super::{origin, tcp_route, text};

pub(super) fn secret() -> impl Strategy<Value = Secret> {
    let path = || option::of(text().prop_map(PathBuf::from));
    let files = (path(), path(), path(), path());
    let files = files.prop_map(|(certificate, key, authorities, revoked)| SecretFiles {
        certificate,
        key,
        authorities,
        revoked,
    });
    let pem = || option::of(text());
    let inline = (pem(), pem(), pem(), pem());
    let inline = inline.prop_map(|(certificate, key, authorities, revoked)| InlineSecret {
        certificate,
        key: key.map(Confidential),
        authorities,
        revoked,
    });
    let source = prop_oneof![
        files.prop_map(SecretSource::Files),
        inline.prop_map(SecretSource::Inline),
        Just(SecretSource::Workload),
    ];
    (text(), source, origin()).prop_map(|(name, source, origin)| Secret {
        name,
        source,
        origin,
    })
}

pub(super) fn listener_tls(
    protocol: BoxedStrategy<ListenerProtocol>,
) -> impl Strategy<Value = ListenerTls> {
    let terminate = (server_tls(), protocol).prop_map(|(tls, protocol)| TlsAction::Terminate {
        tls: Arc::new(tls),
        protocol,
    });
    let pass = vec(tcp_route(), 0..2).prop_map(|routes| TlsAction::PassThrough { routes });
    let action = prop_oneof![terminate.boxed(), pass.boxed()].boxed();
    let chain = (text(), texts(), texts(), action, origin());
    let chain = chain.prop_map(|(name, server_names, offered, action, origin)| TlsChain {
        name,
        server_names,
        offered,
        action,
        origin,
    });
    (any::<bool>(), vec(chain, 0..3)).prop_map(|(accepts_plaintext, chains)| ListenerTls {
        accepts_plaintext,
        chains,
    })
}

fn server_tls() -> impl Strategy<Value = ServerTls> {
    let client = prop_oneof![
        Just(ClientCertificate::Ignored),
        rules().prop_map(ClientCertificate::Optional),
        rules().prop_map(ClientCertificate::Required),
    ];
    (texts(), client, parameters(), texts()).prop_map(|(certificates, client, parameters, alpn)| {
        ServerTls {
            certificates,
            client,
            parameters,
            alpn,
        }
    })
}

pub(super) fn client_tls() -> BoxedStrategy<ClientTls> {
    let trust = prop_oneof![
        rules().prop_map(Trust::Rules),
        texts().prop_map(|names| Trust::System { names }),
        Just(Trust::Anybody),
    ];
    let server_name = prop_oneof![
        Just(ServerNameToAsk::Authority),
        text().prop_map(ServerNameToAsk::Fixed),
    ];
    let all = (
        option::of(text()),
        trust,
        server_name,
        parameters(),
        texts(),
    );
    all.prop_map(
        |(certificate, trust, server_name, parameters, alpn)| ClientTls {
            certificate,
            trust,
            server_name,
            parameters,
            alpn,
        },
    )
    .boxed()
}

fn rules() -> BoxedStrategy<PeerRules> {
    let names = prop_oneof![
        Just(PeerNames::Any),
        texts().prop_map(PeerNames::OneOf),
        texts().prop_map(PeerNames::TrustDomains),
    ];
    let all = (texts(), names, texts(), texts());
    all.prop_map(
        |(authorities, names, spki_sha256, certificate_sha256)| PeerRules {
            authorities,
            names,
            spki_sha256,
            certificate_sha256,
        },
    )
    .boxed()
}

fn parameters() -> BoxedStrategy<TlsParameters> {
    let version = prop_oneof![Just(MinVersion::Tls12), Just(MinVersion::Tls13)];
    let all = (version, any::<bool>(), texts(), texts());
    all.prop_map(
        |(min_version, without_tls13, cipher_suites, groups)| TlsParameters {
            min_version,
            without_tls13,
            cipher_suites,
            groups,
        },
    )
    .boxed()
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

use std::{rc::Rc, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use ringmain_config::tls::{
    ClientCertificate, ClientTls, PeerNames, PeerRules, ServerNameToAsk, ServerTls, TlsParameters,
    Trust,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
};

use super::{Phase, Session};
use crate::{
    io::buffer::{Buffer, BufferPool},
    tls::{context, material::Material},
};

const URI: &str = "spiffe://cluster.local/ns/shop/sa/web";

/// A certificate for a host and a workload, with its authority.
fn material() -> Material {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let uri = SanType::URI(URI.try_into().unwrap());
    params.subject_alt_names.push(uri);
    let certificate = params.signed_by(&own, &issuer).unwrap();
    Material {
        chain: vec![certificate.der().clone()],
        key: Some(own.serialize_der().try_into().unwrap()),
        authorities: vec![authority.der().clone()],
        revoked: Vec::new(),
    }
}

fn rules(names: PeerNames) -> PeerRules {
    PeerRules {
        authorities: vec!["own".to_owned()],
        names,
        ..PeerRules::default()
    }
}

struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// Each side verifies the other.
fn configs(parameters: &TlsParameters) -> Configs {
    let material = material();
    let find = |name: &str| (name == "own").then_some(&material);
    let of_domain = rules(PeerNames::TrustDomains(vec!["cluster.local".to_owned()]));
    let server = ServerTls {
        certificates: vec!["own".to_owned()],
        client: ClientCertificate::Required(of_domain),
        parameters: parameters.clone(),
        alpn: vec!["h2".to_owned(), "istio".to_owned()],
    };
    let client = ClientTls {
        certificate: Some("own".to_owned()),
        trust: Trust::Rules(rules(PeerNames::OneOf(vec![URI.to_owned()]))),
        server_name: ServerNameToAsk::Authority,
        parameters: TlsParameters::default(),
        alpn: vec!["istio".to_owned()],
    };
    let roots = RootCertStore::empty();
    Configs {
        server: context::server(&server, find).unwrap(),
        client: context::client(&client, find, &roots, 1).unwrap().remove(0),
    }
}

struct Pair {
    pool: Rc<BufferPool>,
    client: Session,
    server: Session,
}

impl Pair {
    fn new(configs: &Configs) -> Self {
        let pool = BufferPool::new(4096);
        let buffers = || (pool.none(), pool.none());
        let name = "a.example".try_into().unwrap();
        let client = UnbufferedClientConnection::new(Arc::clone(&configs.client), name);
        let server = UnbufferedServerConnection::new(Arc::clone(&configs.server));
        Self {
            client: Session::client(client.unwrap(), buffers()),
            server: Session::server(server.unwrap(), buffers()),
            pool,
        }
    }

    /// Lets both talk, `bytes` at a time, until neither has anything to say.
    fn settle(&mut self, bytes: usize) -> (Phase, Phase) {
        let mut phases = (Phase::Handshake, Phase::Handshake);
        phases.0 = self.client.advance().unwrap();
        loop {
            let there = carry(&mut self.client, &mut self.server, bytes, &mut phases.1);
            let back = carry(&mut self.server, &mut self.client, bytes, &mut phases.0);
            if !there && !back {
                return phases;
            }
        }
    }

    /// A session that is done with holds nothing.
    fn holds_nothing(&mut self) {
        self.client.release();
        self.server.release();
        assert_eq!(self.pool.in_use(), 0);
    }
}

/// Carries what one has to say to the other, in pieces. False: it had nothing.
fn carry(from: &mut Session, to: &mut Session, bytes: usize, phase: &mut Phase) -> bool {
    let said = from.outgoing().filled().to_vec();
    from.outgoing().clear();
    for piece in said.chunks(bytes) {
        to.incoming().unwrap().tail().extend_from_slice(piece);
        *phase = to.advance().unwrap();
    }
    !said.is_empty()
}

fn received(session: &mut Session, pool: &Rc<BufferPool>) -> (Phase, Vec<u8>) {
    let mut all = Vec::new();
    loop {
        let mut buffer: Buffer = pool.none();
        let (phase, count) = session.read(&mut buffer).unwrap();
        assert_eq!(count, buffer.filled().len());
        all.extend_from_slice(buffer.filled());
        if count == 0 {
            return (phase, all);
        }
    }
}

#[test]
fn handshakes_however_they_are_cut() {
    for without_tls13 in [false, true] {
        let parameters = TlsParameters {
            without_tls13,
            ..TlsParameters::default()
        };
        let configs = configs(&parameters);
        for bytes in [1, 2, 3, 5, 7, 100, 1000, 100_000] {
            let mut pair = Pair::new(&configs);
            assert_eq!(pair.settle(bytes), (Phase::Open, Phase::Open), "{bytes}");
            for session in [&pair.client, &pair.server] {
                let agreed = session.agreed();
                assert_eq!(agreed.alpn.as_deref(), Some(&b"istio"[..]));
                assert_eq!(agreed.certificates.len(), 1);
                assert!(!agreed.is_resumed);
            }
            pair.holds_nothing();
        }
    }
}

#[test]
fn data_however_it_is_cut() {
    let configs = configs(&TlsParameters::default());
    let data: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    for (count, bytes) in [(1, 1), (100, 1), (100, 7), (20_000, 999), (100_000, 60_000)] {
        let mut pair = Pair::new(&configs);
        pair.settle(100_000);
        pair.client.write(&data[..count]).unwrap();
        pair.server.write(&data[..count]).unwrap();
        pair.settle(bytes);
        for session in [&mut pair.client, &mut pair.server] {
            let (phase, all) = received(session, &pair.pool);
            assert!(all == data[..count], "{count} {bytes}: {}", all.len());
            assert_eq!(phase, Phase::Open);
        }
        pair.holds_nothing();
    }
}

/// One side ends, the other goes on, and then ends as well.
#[test]
fn each_direction_ends_by_itself() {
    let configs = configs(&TlsParameters::default());
    let mut pair = Pair::new(&configs);
    pair.settle(100_000);
    pair.client.write(b"last").unwrap();
    pair.client.close().unwrap();
    pair.settle(100_000);
    let (phase, all) = received(&mut pair.server, &pair.pool);
    assert_eq!((phase, &all[..]), (Phase::Ended, &b"last"[..]));
    assert!(pair.server.has_ended() && !pair.client.has_ended());
    pair.server.write(b"answer").unwrap();
    pair.settle(100_000);
    let (phase, all) = received(&mut pair.client, &pair.pool);
    assert_eq!((phase, &all[..]), (Phase::Open, &b"answer"[..]));
    pair.server.close().unwrap();
    pair.settle(100_000);
    let (phase, all) = received(&mut pair.client, &pair.pool);
    assert_eq!((phase, all.len()), (Phase::Ended, 0));
    // Said once, whoever says it again.
    pair.server.close().unwrap();
    assert!(pair.server.outgoing().is_empty());
    assert!(pair.server.write(b"more").is_err());
}

#[test]
fn damage_is_noticed_and_told() {
    let configs = configs(&TlsParameters::default());
    let mut pair = Pair::new(&configs);
    pair.settle(100_000);
    pair.client.write(b"data").unwrap();
    let mut said = pair.client.outgoing().filled().to_vec();
    *said.last_mut().unwrap() ^= 1;
    pair.server
        .incoming()
        .unwrap()
        .tail()
        .extend_from_slice(&said);
    let error = pair.server.advance().unwrap_err();
    assert_eq!(error, rustls::Error::DecryptError);
    assert!(!pair.server.outgoing().is_empty(), "there is an alert");
    assert_eq!(pair.server.advance(), Err(rustls::Error::DecryptError));
    assert_eq!(pair.server.write(b"x"), Err(rustls::Error::DecryptError));
}

/// What an idle connection of TLS keeps besides its stream: the target is 8 KiB in all.
#[test]
fn sessions_are_small() {
    let own = size_of::<Session>();
    let server = size_of::<UnbufferedServerConnection>();
    assert!(own + server <= 2560, "{own} and {server} bytes");
}

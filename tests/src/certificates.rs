//! An authority of our own, and what it issues, right and wrong.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    directory: PathBuf,
    name: String,
}

/// Files of a certificate with its key, in PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    serial: SerialNumber,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Authority {
    /// One that signs itself; its files go to `directory`.
    pub fn new(directory: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key).unwrap();
        let authority = Self {
            issuer: Issuer::new(params, key),
            certificate,
            directory: directory.to_owned(),
            name: name.to_owned(),
        };
        std::fs::write(authority.file(), authority.certificate.pem()).unwrap();
        authority
    }

    /// The PEM file of its certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.ca.crt", self.name))
    }

    /// A certificate for a DNS name or a URI, valid today.
    pub fn issue(&self, name: &str) -> Files {
        let now = OffsetDateTime::now_utc();
        self.issue_for(name, (now - DAY, now + DAY))
    }

    /// One that ended yesterday.
    pub fn issue_expired(&self, name: &str) -> Files {
        let now = OffsetDateTime::now_utc();
        self.issue_for(name, (now - 2 * DAY, now - DAY))
    }

    /// One that begins tomorrow.
    pub fn issue_early(&self, name: &str) -> Files {
        let now = OffsetDateTime::now_utc();
        self.issue_for(name, (now + DAY, now + 2 * DAY))
    }

    fn issue_for(&self, name: &str, (from, to): (OffsetDateTime, OffsetDateTime)) -> Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let text = name.try_into().unwrap();
        params.subject_alt_names.push(match name.contains("://") {
            true => SanType::URI(text),
            false => SanType::DnsName(text),
        });
        params.not_before = from;
        params.not_after = to;
        let unique = from.unix_timestamp_nanos().to_be_bytes();
        let serial = SerialNumber::from_slice(&[&[1], &unique[8..]].concat());
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let stem = name.replace(['/', ':'], "_");
        let stem = format!("{}.{stem}.{}", self.name, from.unix_timestamp_nanos());
        let files = Files {
            certificate: self.directory.join(format!("{stem}.crt")),
            key: self.directory.join(format!("{stem}.key")),
            serial,
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// The PEM file of a list of what it has revoked.
    pub fn revoke(&self, revoked: &[&Files]) -> PathBuf {
        let now = OffsetDateTime::now_utc();
        let revoked = revoked.iter().map(|files| RevokedCertParams {
            serial_number: files.serial.clone(),
            revocation_time: now - DAY,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now - DAY,
            next_update: now + DAY,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).unwrap();
        let file = self.directory.join(format!("{}.crl", self.name));
        std::fs::write(&file, list.pem().unwrap()).unwrap();
        file
    }
}

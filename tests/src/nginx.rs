//! nginx, an origin that we did not write.

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{place, process::Process, wait};

/// A server of files, in a process of its own.
pub struct Nginx {
    process: Process,
    address: SocketAddr,
    directory: TempDir,
}

impl Nginx {
    /// Serves an empty directory; `locations` are further `location` blocks.
    pub fn start(locations: &str) -> Self {
        Self::speaking("", locations)
    }

    /// As [`Self::start`], with nothing but HTTP/2 spoken, from the first byte.
    pub fn http2(locations: &str) -> Self {
        Self::speaking(" http2", locations)
    }

    /// Speaks TLS with this certificate and key, and asks clients for one of these authorities:
    /// they need one for what is below `/shown/`, which is the same as below `/`.
    pub fn tls(certificate: &Path, key: &Path, authorities: &Path) -> Self {
        let locations = format!(
            "ssl_certificate {};\nssl_certificate_key {};\nssl_client_certificate {};\n\
             ssl_verify_client optional;\nlocation /shown/ {{\n\
             if ($ssl_client_verify != SUCCESS) {{ return 403; }}\n\
             rewrite ^/shown(/.*)$ $1 break;\n}}",
            certificate.display(),
            key.display(),
            authorities.display()
        );
        Self::speaking(" ssl", &locations)
    }

    fn speaking(protocol: &str, locations: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = place::free(place::address());
        for name in ["files", "temp"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let config = directory.path().join("nginx.conf");
        std::fs::write(&config, configuration(address, protocol, locations)).unwrap();
        let process = Process::start(
            "nginx",
            [
                "-e".as_ref(),
                "stderr".as_ref(),
                "-p".as_ref(),
                directory.path().as_os_str(),
            ]
            .into_iter()
            .chain(["-c".as_ref(), config.as_os_str()]),
        );
        let mut nginx = Self {
            process,
            address,
            directory,
        };
        wait::until("nginx to listen", || {
            if !nginx.process.is_running() {
                panic!("nginx has ended: {}", nginx.process.error());
            }
            TcpStream::connect(address).map(drop)
        });
        nginx
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that were written down, in the order of their ends, once there are so many: their
    /// lines of the log format `seen`, which `locations` that want it ask for with
    /// `access_log temp/seen.log seen;`. nginx writes a line when it has sent the answer, which may
    /// be after it was read.
    pub fn seen(&self, requests: usize) -> Vec<String> {
        let file = self.directory.path().join("temp/seen.log");
        wait::until(format!("{requests} requests at nginx"), || {
            let text = std::fs::read_to_string(&file).unwrap();
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            match lines.len() {
                count if count < requests => Err(count),
                _ => Ok(lines),
            }
        })
    }

    /// A file below `/`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("files").join(name)
    }
}

/// One process in the foreground, nothing outside its directory.
fn configuration(address: SocketAddr, protocol: &str, locations: &str) -> String {
    format!(
        "daemon off;
master_process off;
pid temp/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
    log_format seen '$request_method $uri $status $server_protocol $connection $ssl_client_s_dn';
    access_log off;
    default_type application/octet-stream;
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
    client_max_body_size 0;
    server {{
        listen {address}{protocol};
        root files;
        location / {{ dav_methods PUT DELETE; }}
        {locations}
    }}
}}
"
    )
}

//! The proxies beside which the edge is measured: HAProxy and nginx, each with one thread and the same work per request.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::processes;

/// A proxy under measurement; it ends when dropped.
pub struct Proxy {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Those whose processor time counts.
    pub pids: Vec<i32>,
    child: Option<Child>,
}

impl Proxy {
    /// One that somebody else starts and ends.
    pub fn of(name: &'static str, address: SocketAddr, pid: i32) -> Self {
        Self { name, address, pids: vec![pid], child: None }
    }

    fn start(name: &'static str, address: SocketAddr, command: &mut Command, log: &Path) -> Self {
        let log = File::create(log).expect("a file for its log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn().expect("it starts");
        let mut proxy = Self { name, address, pids: Vec::new(), child: Some(child) };
        let from = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(from.elapsed() < Duration::from_secs(10), "{name} does not listen on {address} within 10 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = proxy.child.as_ref().map_or(0, |child| child.id().cast_signed());
        proxy.pids.push(pid);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        proxy.pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        proxy
    }

    /// Processor time that it has taken so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.pids.iter().map(|pid| processes::cpu_seconds(*pid)).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // nginx ends its worker only when asked.
        processes::signal(child.id().cast_signed(), rustix::process::Signal::TERM);
        let from = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if from.elapsed() > Duration::from_secs(5) {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// HAProxy before `origin`, for these hosts; with or without an access log.
pub fn haproxy(folder: &Path, hosts: &[String], origin: SocketAddr, has_log: bool) -> Proxy {
    let address = free_address();
    let name = if has_log { "HAProxy" } else { "HAProxy without a log" };
    let path = |what: &str| folder.join(format!("{}-{what}", address.port()));
    let map: String = hosts.iter().map(|host| format!("{host} app\n")).collect();
    fs::write(path("hosts.map"), map).expect("written");
    let (log, lines) = if has_log { ("log stdout format raw local0", "log global\n  option httplog") } else { ("", "") };
    let config = format!(
        "global
  nbthread 1
  maxconn 4000
  {log}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  {lines}
frontend public
  bind {address}
  unique-id-format %{{+X}}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-ID
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-response set-header X-Request-ID %[unique-id]
  use_backend %[req.hdr(host),lower,map({map})]
backend app
  server one {origin}
",
        map = path("hosts.map").display(),
    );
    fs::write(path("haproxy.cfg"), config).expect("written");
    Proxy::start(name, address, Command::new("haproxy").arg("-db").arg("-f").arg(path("haproxy.cfg")), &path("haproxy.log"))
}

/// nginx before `origin`, for these hosts, with an access log.
pub fn nginx(folder: &Path, hosts: &[String], origin: SocketAddr) -> Proxy {
    let address = free_address();
    let (place, names) = (folder.display(), hosts.join(" "));
    let config = format!(
        "daemon off;
worker_processes 1;
user {user};
pid {place}/nginx.pid;
error_log {place}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log {place}/nginx-access.log combined buffer=64k flush=1s;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
  keepalive_requests 1000000000;
  server_names_hash_max_size 8192;
  upstream app {{ server {origin}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen {address};
    server_name {names};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Request-ID $request_id;
      add_header X-Request-ID $request_id always;
    }}
  }}
}}
",
        user = if rustix::process::getuid().is_root() { "root" } else { "nobody" },
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config).expect("written");
    Proxy::start("nginx", address, Command::new("nginx").arg("-p").arg(folder).arg("-c").arg(&file), &folder.join("nginx.log"))
}

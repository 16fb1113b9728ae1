//! Kamailio: as an exchange that one registers with, where it keeps who is where for four seconds at the most; and as a dispatcher that
//! shares calls out among several servers, and asks each every second whether it is there.

#![allow(dead_code)] // each test program uses its own part of it

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Kamailio on 127.0.0.1.
pub struct Kamailio {
    process: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

/// How an exchange is registered with.
#[derive(Clone, Copy, Default)]
pub struct Exchange<'a> {
    /// Who registers has this password.
    pub password: &'a str,
    /// The shortest registration that it takes, seconds; 423 for less. 0: any.
    pub least_s: u32,
    /// TCP as well as UDP, on the same port; and TLS on the port above it, with this certificate and its key.
    pub tcp: bool,
    pub tls: Option<(&'a Path, &'a Path)>,
}

impl Kamailio {
    /// An exchange over UDP. Who registers with it has this password.
    pub fn start(password: &str) -> Self {
        Self::exchange(Exchange { password, ..Exchange::default() })
    }

    pub fn exchange(how: Exchange<'_>) -> Self {
        let port = free_port();
        Self::run(port, |_| format!("{}{}", head(port, &how), exchange(&how)))
    }

    /// Calls go to these ports of 127.0.0.1, by turns.
    pub fn dispatching(nodes: &[u16]) -> Self {
        let port = free_port();
        Self::run(port, |folder| {
            let list = folder.join("nodes");
            let lines: String = nodes.iter().map(|node| format!("1 sip:127.0.0.1:{node}\n")).collect();
            std::fs::write(&list, lines).expect("a file");
            format!("{}{}", head(port, &Exchange::default()), dispatcher(&list))
        })
    }

    fn run(port: u16, configuration: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, configuration(folder.path())).expect("a file");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new("kamailio");
        // In the foreground, 32 MB shared and 8 MB of its own.
        command.args(["-DD", "-E", "-m", "32", "-M", "8", "-Y"]).arg(folder.path());
        command.arg("-P").arg(folder.path().join("pid")).arg("-f").arg(&file);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let process = command.spawn().expect("kamailio: install it with scripts/system-packages.sh --test");
        Self { process, folder, port }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // It has processes of its own, and ends them where it is asked to.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// For UDP and TCP, and the one above it for TLS.
fn free_port() -> u16 {
    loop {
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        if port < u16::MAX && [port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}

fn head(port: u16, how: &Exchange<'_>) -> String {
    let mut head = format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
"#
    );
    if how.tcp || how.tls.is_some() {
        head += &format!("tcp_children=1\nlisten=tcp:127.0.0.1:{port}\n");
    } else {
        head += "disable_tcp=yes\n";
    }
    if let Some((certificate, key)) = how.tls {
        head += &format!(
            "enable_tls=yes\nlisten=tls:127.0.0.1:{}\nloadmodule \"tls.so\"\nmodparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n\
             modparam(\"tls\", \"certificate\", \"{}\")\nmodparam(\"tls\", \"private_key\", \"{}\")\n",
            port + 1,
            certificate.display(),
            key.display()
        );
    }
    head
}

fn exchange(how: &Exchange<'_>) -> String {
    let Exchange { password, least_s, .. } = how;
    format!(
        r#"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "xlog.so"
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "max_expires", 4)
request_route {{
    if (is_method("REGISTER")) {{
        if (!pv_auth_check("exchange", "{password}", "0", "1")) {{
            auth_challenge("exchange", "1");
            exit;
        }}
        if ($(hdr(Expires){{s.int}}) > 0 && $(hdr(Expires){{s.int}}) < {least_s}) {{
            append_to_reply("Min-Expires: {least_s}\r\n");
            sl_send_reply("423", "Interval Too Brief");
            xlog("L_ERR", "too brief: $hdr(Expires)\n");
            exit;
        }}
        xlog("L_ERR", "registered over $proto for $hdr(Expires)\n");
        save("location");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || is_method("ACK")) {{ t_relay(); }} else {{ sl_send_reply("404", "Not Here"); }}
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{ t_relay(); }}
        exit;
    }}
    if (!is_method("INVITE")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    record_route();
    if (!lookup("location")) {{
        sl_send_reply("404", "Not Here");
        exit;
    }}
    xlog("L_ERR", "calls $ru\n");
    t_relay();
}}
"#
    )
}

/// As docs/TELEPHONY.md has it, with shorter times.
fn dispatcher(list: &Path) -> String {
    format!(
        r#"
loadmodule "dispatcher.so"
loadmodule "xlog.so"
modparam("dispatcher", "list_file", "{list}")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "ds_ping_method", "OPTIONS")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("dispatcher", "ds_inactive_threshold", 1)
modparam("tm", "fr_timer", 800)
request_route {{
    if (has_totag()) {{
        if (loose_route() || is_method("ACK")) {{ t_relay(); }} else {{ sl_send_reply("404", "Not Here"); }}
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{ t_relay(); }}
        exit;
    }}
    record_route();
    if (!ds_select_dst("1", "4")) {{
        sl_send_reply("503", "No Node");
        exit;
    }}
    t_on_failure("NEXT");
    t_relay();
}}
failure_route[NEXT] {{
    if (t_is_canceled()) {{ exit; }}
    if (t_branch_timeout() && !t_branch_replied()) {{ ds_mark_dst("ip"); }}
    if ((t_branch_timeout() && !t_branch_replied()) || t_check_status("486|503")) {{
        if (ds_next_dst()) {{
            t_on_failure("NEXT");
            t_relay();
        }}
    }}
}}
event_route[dispatcher:dst-down] {{ xlog("L_ERR", "gone: $du $ru\n"); }}
event_route[dispatcher:dst-up] {{ xlog("L_ERR", "back: $du $ru\n"); }}
"#,
        list = list.display()
    )
}

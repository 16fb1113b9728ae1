//! Kamailio as an exchange that one registers with: it keeps who is where for four seconds at the most, and calls go there.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

/// An exchange on 127.0.0.1.
pub struct Kamailio {
    process: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Kamailio {
    /// Who registers with it has this password.
    pub fn start(password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, configuration(port, password)).expect("a file");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new("kamailio");
        // In the foreground, 16 MB shared and 4 MB of its own.
        command.args(["-DD", "-E", "-m", "16", "-M", "4", "-Y"]).arg(folder.path());
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
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(port: u16, password: &str) -> String {
    format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
fork=no
disable_tcp=yes
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
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "max_expires", 4)
request_route {{
    if (is_method("REGISTER")) {{
        if (!pv_auth_check("exchange", "{password}", "0", "1")) {{
            auth_challenge("exchange", "1");
            exit;
        }}
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
    t_relay();
}}
"#
    )
}

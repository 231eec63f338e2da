//! A delivery status notification (RFC 3464) by the milter's path, through a real Postfix: copies are submitted to it once more, and it refuses one for good.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use crate::{
    milter::setup::{letter, try_send},
    support::{
        lab::{Lab, POSTSEAL},
        ports::{free_port, wait_for_port},
        postfix::{Postfix, Sink, present},
    },
};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_sender_is_told_of_a_copy_that_the_mail_server_refuses() {
    if !present(&[]) {
        return;
    }
    let (lab, sink, milter, again, monitor) = (Lab::new(), Sink::start(), free_port(), free_port(), free_port());
    let rule = |to: &str| {
        format!(
            "[[rule]]\nname = \"{to}\"\nrecipient = \"{to}@example.net\"\naction = \"clear\"\nadd-headers.X-For = \"{to}\"\n"
        )
    };
    let config = format!(
        "home = \"home\"\nhome-must-exist = false\nhostname = \"mx.example.org\"\nmetrics = \"127.0.0.1:{monitor}\"\nlocal-domains = [\"example.org\"]\n\
         [trusted]\nnetworks = [\"127.0.0.1\"]\n[upstream]\nsmart-host = \"127.0.0.1:{again}\"\ntls = \"none\"\n\
         [[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:{milter}\"\n{}{}{}\
         [[rule]]\nname = \"others\"\naction = \"clear\"\n",
        rule("one"),
        rule("two"),
        rule("three")
    );
    lab.write("postseal.toml", config);
    let log = fs::File::create(lab.path("log")).expect("a file");
    let mut serve = Command::new(POSTSEAL);
    serve.args(["serve", "-c", "postseal.toml"]).current_dir(lab.path("")).stderr(Stdio::from(log));
    let _running = Running(serve.spawn().expect("it starts"));
    wait_for_port(milter);
    // What comes in by the second port comes by the milter again. There, nobody is called three.
    let hook = format!("inet:127.0.0.1:{milter}");
    let refusing =
        "check_recipient_access inline:{ {three@example.net = 550 5.1.1 no such person} }, permit_mynetworks, reject";
    let master =
        format!("127.0.0.1:{again} inet n - n - - smtpd\n  -o {{ smtpd_recipient_restrictions = {refusing} }}\n");
    let settings = [("smtpd_milters", hook.as_str()), ("milter_default_action", "tempfail")];
    let postfix = Postfix::start(sink.port(), &settings, &master);
    wait_for_port(again);
    let to = ["one@example.net", "two@example.net", "three@example.net"];
    let reply = try_send(postfix.port(), "alice@example.org", &to, &letter("alice@example.org", "x", "the plan\r\n"));
    let log = || String::from_utf8_lossy(&lab.read("log")).into_owned();
    assert!(reply.starts_with("250 "), "{reply}\n{}", log());

    let arrived = sink.wait_for(3);
    let of = |address: &str| {
        arrived.iter().find(|one| one.addresses() == [address]).unwrap_or_else(|| panic!("{address}: {arrived:?}"))
    };
    for name in ["one", "two"] {
        let copy = of(&format!("{name}@example.net")).text();
        assert!(copy.contains(&format!("X-For: {name}\r\n")) && copy.contains("the plan"), "{copy}");
        assert!(!copy.contains("X-Postseal-Handled"), "{copy}");
    }
    let report = of("alice@example.org");
    assert!(report.sender.starts_with("<>"), "{report:?}");
    let text = report.text();
    for part in [
        "Auto-Submitted: auto-replied\r\n",
        "report-type=delivery-status",
        "Content-Type: message/delivery-status\r\n",
        "Reporting-MTA: dns; mx.example.org\r\n",
        "Final-Recipient: rfc822; three@example.net\r\n",
        "Action: failed\r\n",
        "Status: 5.1.1\r\n",
        "no such person",
        "Message-ID: <x>\r\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    for part in ["the plan", "one@example.net", "two@example.net"] {
        assert!(!text.contains(part), "{part:?} is in {text}");
    }
    for line in [
        "event=copy-sent to=<two@example.net>",
        "event=copy-not-sent to=<three@example.net>",
        "event=bounce-sent to=<alice@example.org>",
    ] {
        assert!(log().contains(line), "{line} is not in {}", log());
    }
    let mut stream = TcpStream::connect(("127.0.0.1", monitor)).expect("the monitor listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page");
    assert!(page.contains("postseal_bounces_total{result=\"sent\"} 1\n"), "{page}");
    postfix.wait_for_queue(|queue| queue.contains("is empty"));
    assert_eq!(sink.received().len(), 3);

    // Where no copy was taken, a reply says it, and nobody writes.
    let reply =
        try_send(postfix.port(), "alice@example.org", &[to[0], to[2]], &letter("alice@example.org", "y", "more\r\n"));
    assert!(reply.starts_with("550 5.1.1 "), "{reply}");
    // Of a sender that anyone could have written nobody is told (RFC 3834, section 4).
    let automatic = [b"Auto-Submitted: auto-generated\r\n", &letter("alice@example.org", "z", "more\r\n")[..]].concat();
    let reply = try_send(postfix.port(), "alice@example.org", &to, &automatic);
    assert!(reply.starts_with("550 5.1.1 "), "{reply}");
    let arrived = sink.wait_for(4);
    assert_eq!(arrived[3].addresses(), ["two@example.net"], "sent before the refusal");
}

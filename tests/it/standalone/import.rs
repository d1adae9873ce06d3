//! A crontab becomes a file of tasks.

use super::host::Host;

const CRONTAB: &str = "\
# /etc/crontab
SHELL=/bin/sh
MAILTO=root

17 * * * * root cd / && run-parts --report /etc/cron.hourly
*/5 * * * mon-fri root /usr/bin/backup --name '50\\%' %from stdin%second line
@reboot root /usr/bin/warm
61 * * * * root /usr/bin/never
@every_minute root x
";

#[test]
fn a_crontab_is_imported_and_what_could_not_be_read_is_named_line_by_line() {
    let host = Host::new();
    host.write("crontab", CRONTAB);
    let (status, out, err) = host.run(&[
        "import",
        "crontab",
        "--format",
        "system",
        "--timezone",
        "Europe/Berlin",
    ]);
    assert_eq!(status, 1);
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 5, "{err}");
    for (line, said) in lines.iter().zip([
        "crontab:3: note: MAILTO: nobody sends mail here",
        "crontab:7: note: @reboot is @startup here",
        "crontab:8: could not be read: ",
        "crontab:9: could not be read: ",
        "3 tasks, 2 lines that could not be read",
    ]) {
        assert!(line.starts_with(said), "{line}");
    }
    host.write("tasks.toml", &out);
    let (status, checked, err) = host.run(&["start", "--check"]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert_eq!(
        checked,
        "tasks.toml: 3 tasks\n  run-parts  17 * * * *  Europe/Berlin\n  \
         backup  */5 * * * mon-fri  Europe/Berlin\n  warm  @startup  Europe/Berlin\n"
    );
    assert!(
        out.contains("stdin = \"from stdin\\nsecond line\\n\""),
        "{out}"
    );
    assert!(out.contains("--name '50%'"), "{out}");
    assert!(out.contains("# line 8 could not be read: "), "{out}");
}

#[test]
fn what_was_imported_runs_as_a_cron_would_run_it() {
    let host = Host::new();
    let user = "A=two words\n@reboot cat > said; echo \"$A $PATH $0\" >> said %a%b\n";
    let import = host
        .command(&["import", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut import = import.unwrap();
    std::io::Write::write_all(&mut import.stdin.take().unwrap(), user.as_bytes()).unwrap();
    let out = import.wait_with_output().unwrap();
    assert!(out.status.success());
    let out = String::from_utf8(out.stdout).unwrap();
    let out = out.replace("redis_url = \"redis://127.0.0.1:6379\"", "memory = true");
    host.write("tasks.toml", &out);
    let running = host.start();
    host.wait_for("said", "two words");
    assert_eq!(host.read("said"), "a\nb\ntwo words /usr/bin:/bin /bin/sh\n");
    assert_eq!(running.stop(), 0);
}

#[test]
fn hostile_crontabs_are_contained() {
    let host = Host::new();
    host.write(
        "crontab",
        b"\xff\xfe\x1b[2J * * * * x\n\0\n* * * * * echo \x1b[31m\xff\n",
    );
    let (_, out, err) = host.run(&["import", "crontab"]);
    let is_plain = |c: char| !c.is_control() || c == '\n';
    assert!(out.chars().all(is_plain), "{out:?}");
    assert!(err.chars().all(is_plain), "{err:?}");
    let (status, _, err) = host.run(&["import", "missing"]);
    assert_eq!(status, 1);
    assert!(err.starts_with("missing cannot be read: "), "{err}");
}

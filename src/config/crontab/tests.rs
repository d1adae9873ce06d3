use super::*;

fn one(line: &str, form: Form) -> Job {
    let mut crontab = Crontab::read(line, form);
    assert_eq!(crontab.faults, [], "{line}");
    assert_eq!(crontab.jobs.len(), 1, "{line}");
    crontab.jobs.remove(0)
}

#[test]
fn lines_of_both_formats_are_read() {
    let job = one(
        "*/5 2 * * mon-fri  /usr/bin/backup --all 'a  b'",
        Form::User,
    );
    assert_eq!(job.spec, "*/5 2 * * mon-fri");
    assert_eq!(job.command, "/usr/bin/backup --all 'a  b'");
    assert_eq!((job.name.as_str(), job.user), ("backup", None));
    let job = one(
        "17 *\t* * *\troot    cd / && run-parts /etc/cron.hourly",
        Form::System,
    );
    assert_eq!(
        (job.spec.as_str(), job.user.as_deref()),
        ("17 * * * *", Some("root"))
    );
    assert_eq!(job.command, "cd / && run-parts /etc/cron.hourly");
    assert_eq!(job.directory.as_deref(), Some("/root"));
    let job = one("  @daily root logrotate", Form::System);
    assert_eq!(
        (job.spec.as_str(), job.name.as_str()),
        ("@daily", "logrotate")
    );
}

#[test]
fn variables_are_for_the_lines_below_them() {
    let text = "1 1 * * * first\nPATH=/opt/bin\nSHELL = /bin/bash\n\"A B\"=x\nC = \"two words\" \n\
                CRON_TZ=Europe/Berlin\nMAILTO=root\n1 1 * * * second a=b\n";
    let crontab = Crontab::read(text, Form::User);
    let [first, second] = &crontab.jobs[..] else {
        panic!("{crontab:?}")
    };
    assert_eq!(first.env["PATH"], "/usr/bin:/bin");
    assert_eq!(first.shell, "/bin/sh");
    assert_eq!(second.env["PATH"], "/opt/bin");
    assert_eq!(second.env["C"], "two words");
    assert_eq!(second.shell, "/bin/bash");
    assert_eq!(second.zone, Some(Tz::Europe__Berlin));
    assert_eq!(second.command, "second a=b");
    assert!(!second.env.contains_key("MAILTO"));
    let lines: Vec<usize> = crontab.faults.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4], "{:?}", crontab.faults);
    let lines: Vec<usize> = crontab.notes.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [7]);
}

#[test]
fn what_stands_behind_a_percent_sign_is_read_by_the_command() {
    let job = one(r"0 0 * * * mail -s \%x me%Dear me,%50\% off%%", Form::User);
    assert_eq!(job.command, "mail -s %x me");
    assert_eq!(job.stdin.as_deref(), Some("Dear me,\n50% off\n\n\n"));
    assert_eq!(one("0 0 * * * date +\\%F", Form::User).stdin, None);
}

#[test]
fn the_day_fields_mean_what_a_cron_makes_of_them() {
    for (fields, spec) in [
        ("0 0 1,15 * SUN", "0 0 1,15 * SUN"),
        ("0 0 */10 * SUN", "0 0 */10 * +SUN"),
        ("0 0 1,15 * */2", "0 0 1,15 * +*/2"),
        ("0 0 * * */2", "0 0 * * */2"),
        ("0 0 */2 * *", "0 0 */2 * *"),
        ("0 0 */1 * MON", "0 0 */1 * MON"),
    ] {
        assert_eq!(one(&format!("{fields} x"), Form::User).spec, spec);
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_line() {
    let text = "# fine\n\n* * * * *\n61 * * * * x\n0~30 * * * * x\n@every_minute x\n-*/5 * * * * x\n\
                * * * * * % only input\n1 2 3\n@reboot x\nCRON_TZ=Mars/Base\n* * * * * x\n";
    let crontab = Crontab::read(text, Form::User);
    let lines: Vec<usize> = crontab.faults.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 12], "{:?}", crontab.faults);
    assert_eq!(crontab.jobs.len(), 1);
    assert_eq!(crontab.jobs[0].spec, "@startup");
    assert_eq!(crontab.notes[0].0, 10);
    let crontab = Crontab::read("5 4 * * * /bin/x\n", Form::System);
    assert_eq!(crontab.faults[0].1, "it has no user before the command");
    let crontab = Crontab::read("5 4 * * * /bin/x y\n", Form::System);
    assert!(
        crontab.faults[0]
            .1
            .contains("is it the crontab of one user?")
    );
}

#[test]
fn names_are_unlike_each_other() {
    let text =
        "* * * * * A=1 /bin/x.sh a\n* * * * * /usr/bin/x.sh b\n* * * * * (y; z)\n* * * * * '' ''\n";
    let crontab = Crontab::read(text, Form::User);
    let names: Vec<&str> = crontab.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["x.sh", "x.sh_2", "y", "task"]);
}

#[test]
fn hostile_text_is_contained() {
    let long = format!("* * * * * {}", "x".repeat(1_000_000));
    for text in [
        "\u{1b}[2J",
        "\0",
        "@",
        "@\u{1b}x y",
        "\u{202e} = \u{1b}",
        &long,
        "% % % % % %",
    ] {
        let crontab = Crontab::read(text, Form::User);
        for (_, why) in &crontab.faults {
            assert!(
                why.len() < 600 && !why.chars().any(char::is_control),
                "{why}"
            );
        }
    }
}

#[test]
fn what_is_written_can_be_read() {
    let text = "E=\"quo\\\"te\"\n* * * * * root echo \"a\\b\u{7f}\u{1b}ä\" 'x'%in\\%put%\n@hourly nobody-here y\n";
    let crontab = Crontab::read(text, Form::System);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.toml");
    // Users are those of the host that runs them.
    let written = crontab
        .write(Tz::Asia__Tokyo)
        .replace("\nuser = \"nobody-here\"", "");
    std::fs::write(&path, &written).unwrap();
    let now = chrono::DateTime::UNIX_EPOCH;
    let config = crate::config::Config::read(&path, now);
    let config = config.unwrap_or_else(|e| panic!("{e}\n{written}"));
    assert_eq!(config.tasks.len(), 2);
    assert_eq!(config.tasks[0].plan.timezone, Some(Tz::Asia__Tokyo));
}

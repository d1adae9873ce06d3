//! Specs as another implementation's users write them.

use super::*;

#[test]
fn specs_that_robfig_reads_are_read_alike() {
    // Pairs that have to mean the same.
    for (spec, plain) in [
        ("0/15 * * * *", "0,15,30,45 * * * *"),
        ("5/15 * * * *", "5,20,35,50 * * * *"),
        ("20-35/15 1 * * *", "20,35 1 * * *"),
        (
            "15/35 20-35/15 1/2 */2 * *",
            "15,50 20,35 1,3,5,7,9,11,13,15,17,19,21,23 */2 * *",
        ),
        ("30 08 ? Jul Sun", "30 8 * 7 0"),
        ("0 */70 1 * * *", "0 */60 1 * * *"),
        ("3-59/60 1 * * *", "3 1 * * *"),
        ("1,,2 1 * * *", "1,2 1 * * *"),
        (",5 1 * * *", "5 1 * * *"),
        ("5, 1 * * *", "5 1 * * *"),
        ("0 0 * * mon-5", "0 0 * * 1-5"),
        ("0 0 1 1-dec/3 *", "0 0 1 1,4,7,10 *"),
        ("\t0   0\t1  *\n* ", "0 0 1 * *"),
        ("CRON_TZ=UTC  5 * * * *", "5 * * * *"),
        ("TZ=Asia/Tokyo @midnight", "CRON_TZ=Asia/Tokyo 0 0 * * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("0 0 * * SUN-SUN", "0 0 * * SUN"),
        ("0 0 * * 0-SUN", "0 0 * * SUN"),
    ] {
        let read = |spec: &str| spec.parse::<Schedule>().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read(spec), read(plain), "{spec}");
    }
}

#[test]
fn what_robfig_refuses_or_misreads_is_read_or_refused() {
    for spec in [
        "0 0 * * 7",
        "0 0 * * 5-7",
        "0 0 * * SAT-SUN",
        "0 0 0 1 1 * 2030",
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 * * FRI#2",
        "0 0 13 * +FRI",
        "@Daily",
        "@EVERY 90s",
    ] {
        assert!(spec.parse::<Schedule>().is_ok(), "{spec}");
    }
    for (spec, kind) in [
        (", * * * *", SpecErrorKind::EmptyField),
        ("*-5 * * * *", SpecErrorKind::NotANumber),
        ("+5 * * * *", SpecErrorKind::NotANumber),
        ("@every 0s", SpecErrorKind::BadDuration),
        ("@every -1m", SpecErrorKind::BadDuration),
        ("@every 9ms", SpecErrorKind::BadDuration),
        ("TZ= 0 0 * * *", SpecErrorKind::BadZone),
        ("TZ=Local 0 0 * * *", SpecErrorKind::BadZone),
        ("TZ=UTC", SpecErrorKind::Empty),
        ("CRON_TZ=UTC  ", SpecErrorKind::Empty),
        ("@reboot", SpecErrorKind::UnknownDescriptor),
        ("@daily !", SpecErrorKind::UnknownDescriptor),
        ("0 0 0 * * * * *", SpecErrorKind::FieldCount),
    ] {
        let error = spec.parse::<Schedule>().expect_err(spec);
        assert_eq!(error.kind(), kind, "{error}");
    }
    let long = "0 0 * * *".to_owned() + &" ".repeat(1016);
    assert_eq!(long.len(), 1025);
    let error = long.parse::<Schedule>().unwrap_err();
    assert_eq!(error.kind(), SpecErrorKind::TooLong);
    assert!(long[..1024].parse::<Schedule>().is_ok());
}

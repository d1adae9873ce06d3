//! What is read from an address, and what is said of it.

use super::*;

#[test]
fn an_address_says_where_and_never_who() {
    for (url, text) in [
        ("redis://127.0.0.1:6379", "redis at 127.0.0.1:6379/0"),
        ("redis://localhost", "redis at localhost:6379/0"),
        ("redis://u:secret@h:6380/2", "redis at h:6380/2"),
        ("redis://:s%2Fcret@h", "redis at h:6379/0"),
        ("redis://[::1]:7000/1", "redis at [::1]:7000/1"),
        (
            "rediss://u:secret@example.org:6380/2",
            "redis (TLS) at example.org:6380/2",
        ),
        (
            "redis+sentinel://u:secret@a,b:7000,[::1]/main.one",
            "redis primary main.one/0 of the sentinels at a:26379,b:7000,[::1]:26379",
        ),
        (
            "rediss+sentinel://:secret@a:1/m/3",
            "redis (TLS) primary m/3 of the sentinels at a:1",
        ),
        (
            "redis+cluster://u:secret@a,b:7000/",
            "redis cluster at a:6379,b:7000",
        ),
        ("rediss+cluster://a", "redis (TLS) cluster at a:6379"),
        (
            "redis+unix:///run/redis.sock?db=3&user=u&pass=secret",
            "redis at /run/redis.sock database 3",
        ),
    ] {
        let address = Address::parse(url).unwrap();
        assert_eq!(address.to_string(), text);
        assert_eq!(format!("{address:?}"), text);
    }
}

#[test]
fn user_password_and_database_are_read() {
    let address = Address::parse("redis://us%40er:s%2Fcret@h/7").unwrap();
    let settings = address.info().redis_settings();
    assert_eq!(settings.username(), Some("us@er"));
    assert_eq!(settings.password(), Some("s/cret"));
    assert_eq!(settings.db(), 7);
}

#[test]
fn bad_addresses_are_refused_with_the_place_and_without_the_secret() {
    for (url, part) in [
        ("", "is not a URL"),
        ("hunter2", "is not a URL"),
        ("localhost:6379", "unknown scheme"),
        ("http://user:hunter2@h", "unknown scheme"),
        ("redis-sentinel://user:hunter2@h", "unknown scheme"),
        ("redis:///2", "no host"),
        ("redis://:hunter2@", "not a URL"),
        ("redis://h:99999", "invalid port number"),
        ("redis://:pa/hunter2@h", "percent-encoded"),
        ("redis://h/hunter2", "not a database number"),
        ("redis://h/-1", "not a database number"),
        ("redis://h/1/2", "not a database number"),
        ("redis://u:1/2@h", "not a database number"),
        ("redis://u:1#hunter2@h", "has a # part"),
        ("redis://u:1?hunter2@h", "has a ? part"),
        ("rediss://h/#insecure", "certificates are always verified"),
        ("redis://0.0.0.0", "wildcard"),
        ("redis+unix://", "no socket path"),
        ("redis+unix:///s?db=x", "not a database number"),
        ("redis+unix:///s?hunter2=x", "has a parameter other"),
        ("redis+sentinel://u:hunter2@a", "no name of a primary"),
        ("redis+sentinel://u:hunter2@a/", "no name of a primary"),
        ("redis+sentinel://a/m/hunter2", "not a database number"),
        ("redis+sentinel://u:1/hunter2@a", "name of a primary"),
        ("redis+sentinel:///m", "no host"),
        ("redis+sentinel://a,,b/m", "no host"),
        ("redis+sentinel://a:x/m", "invalid port"),
        ("redis+sentinel://a/m?hunter2", "has a ? part"),
        ("redis+sentinel://a/m#hunter2", "has a # part"),
        ("redis+cluster://", "no host"),
        ("redis+cluster://a/1", "database 0"),
        ("redis+cluster://u:1/hunter2@a", "not a database number"),
        ("redis+cluster://:pa/hunter2@a", "no host"),
        ("redis+clusters://hunter2", "unknown scheme"),
        ("redis://%ff:%ffhunter2@h", "not valid UTF-8"),
    ] {
        let error = Address::parse(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
        let text = error.to_string();
        assert!(text.contains(part), "{url}: {text}");
        assert!(!format!("{error:?}{text}").contains("hunter2"), "{text}");
    }
}

#[test]
fn a_ca_certificate_needs_tls_and_has_to_be_one() {
    for (url, pem, part) in [
        (
            "redis://h",
            "-----BEGIN CERTIFICATE-----",
            "does not use TLS",
        ),
        ("rediss://h", "nonsense", "no certificate in PEM form"),
        (
            "rediss://h",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot be used",
        ),
    ] {
        let address = Address::parse(url).unwrap();
        let error = address.trusting(pem.as_bytes().to_vec()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(part), "{error}");
    }
}

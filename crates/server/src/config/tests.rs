use super::entries::CHANGEABLE;
use super::*;

const MINIMAL: &str = "[control]\ndsn = \"postgresql://a:b@db/sindico\"\n\
    [secrets]\nmaster_key_file = \"master\"\nadmin_token_file = \"token\"\n";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("master"), format!("{}\n", "ab".repeat(32))).expect("written");
    fs::write(dir.path().join("token"), "t".repeat(32)).expect("written");
    dir
}

#[test]
fn control_database_and_secrets_are_enough() {
    let dir = folder();
    let config = Config::parse(MINIMAL, dir.path()).expect("a configuration");
    assert_eq!(config.gateway_listen.port(), 6432);
    assert_eq!(config.connections_per_tenant, 100);
}

#[test]
fn every_key_is_told_and_no_secret() {
    let dir = folder();
    let text = MINIMAL.replace("db/sindico", "db/sindico?password=c");
    let config = Config::parse(&format!("{text}[gateway]\nslow_query_milliseconds = 250\n"), dir.path());
    let config = config.expect("a configuration");
    let over = config.dials.slow_queries.over;
    assert_eq!(over, Some(Duration::from_millis(250)));
    let entries = config.entries();
    let value = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    for (key, expected) in [
        ("control.dsn", "postgresql://a@db/sindico"),
        ("secrets.master_key_file", "master"),
        ("gateway.slow_query_milliseconds", "250"),
        ("gateway.slow_query_text", "full"),
        ("gateway.idle_session_seconds", "0"),
        ("gateway.jwt", ""),
        ("pool.lifetime_seconds", "3600"),
        ("log.filter", "info"),
        ("backups.keep_days", "30"),
    ] {
        assert_eq!(value(key), Some(expected), "{key}");
    }
    for key in CHANGEABLE {
        let entry = entries.iter().find(|entry| entry.key == key);
        assert!(entry.is_some_and(|entry| entry.changeable), "{key}");
    }
    let secrets = ["ab".repeat(32), "t".repeat(32), "password".to_owned()];
    assert!(!entries.iter().any(|entry| secrets.iter().any(|secret| entry.value.contains(secret))));
}

#[test]
fn off_loopback_the_gateway_needs_a_certificate_or_an_explicit_word() {
    let dir = folder();
    let made = rcgen::generate_simple_self_signed(["db.example".to_owned()]).expect("a certificate");
    fs::write(dir.path().join("cert.pem"), made.cert.pem()).expect("written");
    fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    let tls = "[gateway.tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
    let read = |more: &str| Config::parse(&format!("{MINIMAL}[gateway]\n{more}"), dir.path());
    let config = read(&format!("listen = \"0.0.0.0:6432\"\n{tls}")).expect("with a certificate");
    assert!(config.certificates.is_some() && config.dials.plaintext == Plaintext::Loopback);
    read("listen = \"0.0.0.0:6432\"\nplaintext = \"anywhere\"").expect("with an explicit word");
    read(&format!("plaintext = \"nowhere\"\n{tls}")).expect("encrypted on loopback as well");
    read("listen = \"0.0.0.0:6432\"").expect_err("with neither");
    assert!(read(&format!("zone = \"db.example\"\n{tls}")).expect("a zone").zone.is_some());
    let jwt = "[gateway.jwt]\nissuer = \"i\"\naudience = \"a\"\nkeys_file = \"keys.json\"\n";
    let ed25519 = "{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    for (keys, more, named) in [
        (ed25519, "leeway_seconds = 600", "gateway.jwt.leeway_seconds"),
        (ed25519, "tenant_claim = \"\"", "gateway.jwt.tenant_claim"),
        (ed25519, "algorithm = \"HS256\"", "algorithm"),
        ("{\"keys\": []}", "", "gateway.jwt.keys_file"),
    ] {
        fs::write(dir.path().join("keys.json"), keys).expect("written");
        let error = read(&format!("{tls}{jwt}{more}")).expect_err(named).to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
    fs::write(dir.path().join("keys.json"), ed25519).expect("written");
    assert!(read(&format!("{tls}{jwt}")).expect("with an issuer").tokens.is_some());
    let error = read(jwt).expect_err("tokens in the clear").to_string();
    assert!(error.starts_with("gateway.jwt:"), "{error}");
    let error = read(&format!("zone = \".example\"\n{tls}")).expect_err("no domain").to_string();
    assert!(error.starts_with("gateway.zone"), "{error}");
}

const GOOD_LINK: &str = "https://{slug}.example/confirm?token={token}";

fn letters(more: &str, link: &str) -> String {
    format!("[mail]\nfrom = \"Paws <a@b.example>\"\nconfirm_url = \"{link}\"\n{more}")
}

#[test]
fn letters_go_one_way() {
    let dir = folder();
    for way in ["folder = \"mail\"", "smtp_url = \"smtps://a@mail.example\"\nsmtp_password_file = \"token\""] {
        let config = Config::parse(&format!("{MINIMAL}{}", letters(way, GOOD_LINK)), dir.path()).expect(way);
        let letters = config.letters.expect("a way");
        assert_eq!(letters.dashboard(&"paws".parse().expect("a slug")), None);
        let shown = format!("{letters:?}");
        assert!(!shown.contains(fs::read_to_string(dir.path().join("token")).expect("there").trim()), "{shown}");
    }
    assert!(Config::parse(MINIMAL, dir.path()).expect("without").letters.is_none());
}

#[test]
fn every_fault_names_its_key() {
    let dir = folder();
    for (more, named) in [
        ("[gateway]\nlisten = \"0.0.0.0:1\"", "gateway.listen"),
        ("[api]\nlisten = \"here\"", "api.listen"),
        ("[gateway]\nmax_client = 3", "max_client"),
        ("[gateway]\nmax_clients = 0", "gateway.max_clients"),
        ("[gateway]\npool_mode = \"statement\"", "gateway.pool_mode"),
        ("[gateway]\nplaintext = \"everywhere\"", "gateway.plaintext"),
        ("[gateway]\nplaintext = \"nowhere\"", "gateway.plaintext"),
        ("[gateway]\nzone = \"db.example\"", "gateway.zone"),
        ("[gateway]\nfailed_logins = -1", "failed_logins"),
        ("[gateway.tls]\ncertificate_file = \"none\"\nkey_file = \"none\"", "gateway.tls.certificate_file"),
        ("[gateway.tls]\ncertificate_file = \"master\"\nkey_file = \"master\"", "gateway.tls.certificate_file"),
        ("[gateway.tls]\ncertificate_file = \"master\"", "key_file"),
        ("[gateway]\npooling = \"loose\"", "gateway.pooling"),
        ("[lifecycle]\nchanges_at_once = 100", "control.max_connections"),
        ("[log]\nformat = \"xml\"", "log.format"),
        ("[log]\nfilter = \"gateway=loud\"", "log.filter"),
        ("[metrics]\ntenant = 3", "tenant"),
        ("[usage]\nkeep_days = 0", "usage.keep_days"),
        ("[warm_pool]\nsize = 1001", "warm_pool.size"),
        ("[warm_pool]\nmax_age_hours = 0", "warm_pool.max_age_hours"),
        ("[warm_pool]\nmax_age_hours = 9000", "warm_pool.max_age_hours"),
        ("[warm_pool]\nidle_days = 0", "warm_pool.idle_days"),
        ("[usage]\nkeep_days = 4000", "usage.keep_days"),
        ("[mail]\nfrom = \"a@b\"", "confirm_url"),
        (&letters("folder = \"m\"", "no link"), "mail.confirm_url"),
        (&letters("folder = \"m\"", "https://x/{tenant}?{token}"), "mail.confirm_url"),
        (&letters("folder = \"m\"", "https://x/"), "lacks {token}"),
        (&letters("", GOOD_LINK), "mail.smtp_url"),
        (&letters("folder = \"m\"\nsmtp_url = \"smtps://x\"", GOOD_LINK), "not both"),
        (&letters("folder = \"m\"\nsmtp_password_file = \"token\"", GOOD_LINK), "mail.smtp_password_file"),
        (&letters("smtp_url = \"smtp://mail.example\"", GOOD_LINK), "in the clear"),
        (&letters("smtp_url = \"smtps://a@mail.example\"", GOOD_LINK), "no password"),
        (&letters("folder = \"m\"\nlanguage = \"fr\"", GOOD_LINK), "mail.language"),
        (&letters("folder = \"m\"\ndashboard_url = \"ftp://x\"", GOOD_LINK), "mail.dashboard_url"),
        ("[pool]\nidle_seconds = \"long\"", "idle_seconds"),
        ("[pool]\nlifetime_seconds = 1_000_000_000_000", "pool.lifetime_seconds"),
        ("[gateway]\nstatement_seconds = 1_000_000_000_000", "gateway.statement_seconds"),
        ("[gateway]\nslow_query_text = \"some\"", "gateway.slow_query_text"),
        ("[gateway]\nslow_query_milliseconds = \"1s\"", "slow_query_milliseconds"),
        ("[pool]\nconnect_seconds = 0", "pool.connect_seconds"),
        ("[pool]\nconnections_per_tenant = 0", "pool.connections_per_tenant"),
        ("[pool]\nconnections_per_tenant = 2\nminimum_per_tenant = 3", "pool.minimum_per_tenant"),
    ] {
        let error = Config::parse(&format!("{MINIMAL}{more}"), dir.path()).expect_err(more).to_string();
        assert!(error.contains(named), "{more}: {error}");
    }
    for dsn in ["", "db", "host=db user=a", "mysql://a:b@db/sindico"] {
        let error = Config::parse(&MINIMAL.replace("postgresql://a:b@db/sindico", dsn), dir.path());
        let error = error.expect_err(dsn).to_string();
        assert!(error.starts_with("control.dsn"), "{dsn}: {error}");
    }
    fs::write(dir.path().join("token"), "short").expect("written");
    let error = Config::parse(MINIMAL, dir.path()).expect_err("a short token").to_string();
    assert!(error.contains("secrets.admin_token_file"), "{error}");
}

#[test]
fn backups_go_into_a_folder_or_a_bucket() {
    let dir = folder();
    fs::write(dir.path().join("s3"), "hush\n").expect("written");
    let read = |more: &str| Config::parse(&format!("{MINIMAL}[backups]\n{more}"), dir.path());
    let store = |more: &str| read(more).expect(more).backups.store.map(|store| store.place().to_owned());
    assert_eq!(store(""), None);
    assert_eq!(store("url = \"copies\""), Some(format!("file://{}", dir.path().join("copies").display())));
    let s3 = "url = \"s3://copies/here/\"\ns3_region = \"eu-west-1\"\ns3_access_key_id = \"a\"\ns3_secret_access_key_file = \"s3\"";
    assert_eq!(store(s3).as_deref(), Some("s3://copies/here"));
    assert!(!read(s3).expect("a bucket").entries().iter().any(|entry| entry.value.contains("hush")));
    assert_eq!(read("keep_days = 0").expect("for ever").backups.keep_days, None);
    for (wrong, named) in [
        ("url = \"ftp://there\"", "backups.url"),
        ("url = \"s3:///x\"", "names no bucket"),
        ("s3_region = \"x\"", "backups.s3_region"),
        ("url = \"copies\"\ns3_endpoint = \"http://x\"", "backups.s3_endpoint"),
        ("url = \"s3://b\"\ns3_secret_access_key_file = \"none\"", "s3_secret_access_key_file"),
        ("keep_days = -1", "backups.keep_days"),
        ("objective_hours = 0", "backups.objective_hours"),
    ] {
        let error = read(wrong).expect_err(wrong).to_string();
        assert!(error.contains(named), "{wrong}: {error}");
    }
}

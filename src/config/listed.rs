//! All of a file, checked together.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::Config;
use crate::config::fault::{Faults, Source};
use crate::config::file::File;
use crate::config::program::Program;
use crate::config::settings::{Place, Settings};
use crate::config::source::SecretFrom;
use crate::config::task::{self, Surroundings};
use crate::kinds::{Http, Shell};

/// Everything that is wrong, or the whole of it.
pub(super) fn check(source: &Source, file: File, now: DateTime<Utc>) -> Result<Config, Faults> {
    let mut faults = source.none();
    let settings = Settings::of(source, &file, &mut faults);
    let mut shell = (!file.commands.is_empty()).then(Shell::new);
    for (name, command) in &file.commands {
        match Program::of(source, command.get_ref()) {
            Ok(program) => shell = shell.map(|shell| shell.allow(name, program.command())),
            Err((key, text)) => {
                let span = command.span();
                let at = source.key(span.start, key).unwrap_or(span);
                let key = format!("commands.{name}.{key}");
                faults.add(source, Some(at), &key, &text);
            }
        }
    }
    let shell = shell.map(Arc::new);
    let requests = match Http::new() {
        Ok(http) => http,
        Err(error) => {
            faults.add(source, None, "", &error.to_string());
            return Err(faults);
        }
    };
    let mut http = None;
    for prefix in &file.http.allow {
        let before = http.take().unwrap_or_else(|| requests.allowing_nothing());
        match before.allow(prefix.get_ref()) {
            Ok(more) => http = Some(more),
            Err(error) => {
                let shown: String = prefix.get_ref().chars().take(200).collect();
                let text = error.to_string().replace(&format!("{shown:?}"), "it");
                faults.add(source, Some(prefix.span()), "http.allow", &text);
            }
        }
    }
    let around = Surroundings {
        source,
        zone: settings.zone,
        owner: settings.owner.as_deref(),
        groups: &settings.groups,
        shell: shell.as_ref(),
        requests: &requests,
        now,
    };
    let mut tasks = Vec::new();
    let mut names = HashMap::new();
    for spanned in &file.task {
        let name = &spanned.get_ref().name;
        if let Some(first) = names.insert(name.get_ref().as_str(), name.span()) {
            let first = source.line(first.start);
            let text = format!("there is a task of that name in line {first}: give it another");
            let shown: String = name.get_ref().chars().take(128).collect();
            let key = format!("task {shown}: name");
            faults.add(source, Some(name.span()), &key, &text);
            continue;
        }
        tasks.extend(task::read(spanned, &around, &mut faults));
    }
    let warnings = warnings(source, &settings);
    faults.or(Config {
        settings,
        tasks,
        shell,
        http: http.map(Arc::new),
        warnings,
    })
}

fn warnings(source: &Source, settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(Place::Redis {
        url: SecretFrom::Here(url),
        ..
    }) = &settings.place
        && url.contains('@')
        && source.is_for_all()
    {
        let text = "the address of Redis has a password, and every user of this host may read the \
                    file: give it as redis_url_file, or take the right to read away";
        warnings.push(text.to_owned());
    }
    warnings
}

//! How answers are written.

use std::io::Write;

use serde::Serialize;

use crate::cli::status::Failure;

/// For people, or for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs; its shape stays
    Json,
    /// The same as YAML, a document for each answer
    Yaml,
}

/// An answer for people, or for programs.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Output {
    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

impl Format {
    /// Whether programs are to read it.
    pub(crate) fn is_data(self) -> bool {
        self != Format::Text
    }

    /// Writes a value for programs. False if it is for people, who want something else.
    pub(crate) fn wrote(self, value: &impl Serialize) -> Result<bool, Failure> {
        let text = self.text(value)?;
        Ok(text.map(say).is_some())
    }

    /// A value as programs read it, without the end of its last line; `None` if it is for people.
    pub(crate) fn text(self, value: &impl Serialize) -> Result<Option<String>, Failure> {
        Ok(match self {
            Format::Text => None,
            Format::Json => {
                let text = serde_json::to_string(value);
                Some(text.map_err(|e| no_answer("JSON", &e))?)
            }
            Format::Yaml => Some(yaml(value)?.trim_end_matches('\n').to_owned()),
        })
    }
}

impl Output {
    pub(crate) fn is_data(self) -> bool {
        self.output.is_data()
    }

    /// As [`Format::wrote`].
    pub(crate) fn wrote(self, value: &impl Serialize) -> Result<bool, Failure> {
        self.output.wrote(value)
    }
}

/// A document of its own, with what JSON would have.
fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    let value = serde_json::to_value(value).map_err(|e| no_answer("JSON", &e))?;
    let text = serde_saphyr::to_string(&value).map_err(|e| no_answer("YAML", &e))?;
    Ok(format!("---\n{text}"))
}

fn no_answer(form: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("the answer is no {form}: {error}"))
}

/// A line for whoever called. That nobody reads it is no reason to stop.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Text that has its ends of lines already.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// A line for people, beside the answer.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use saphyr::{LoadableYamlNode, Yaml};
    use serde_json::json;

    use super::yaml;

    #[test]
    fn what_is_written_as_yaml_is_read_as_what_it_was() {
        let texts = [
            "",
            "yes",
            "null",
            "~",
            "007",
            "1e3",
            "0 */5 * * * *",
            "@daily",
            "- a",
            "a: b # c",
            "'",
            "\"",
            "2026-11-21T14:00:00Z",
            "*x",
            "&x",
            "two\nlines\n",
            " blanks ",
            "tab\there",
            "\u{1b}[31m",
            "\u{0}",
            "\u{feff}",
            "\u{2028}",
            "漢字",
            "---",
            "...",
        ];
        for text in texts {
            let written = yaml(&json!({ "key": text, "list": [text, 1, true] })).unwrap();
            let read = Yaml::load_from_str(&written).unwrap();
            assert_eq!(read.len(), 1, "{written}");
            assert_eq!(read[0]["key"].as_str(), Some(text), "{written}");
            assert_eq!(read[0]["list"][0].as_str(), Some(text), "{written}");
            assert_eq!(read[0]["list"][1].as_integer(), Some(1), "{written}");
            assert!(!written.contains('\u{1b}'), "{written}");
        }
        let long = "x ".repeat(10_000);
        let written = yaml(&json!([long])).unwrap();
        assert_eq!(
            Yaml::load_from_str(&written).unwrap()[0][0].as_str(),
            Some(long.as_str())
        );
        assert_eq!(yaml(&json!([])).unwrap(), "---\n[]\n");
    }
}

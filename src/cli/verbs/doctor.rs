//! `doctor`: what is wrong, and what is right.

use serde_json::json;

use crate::cli::fleet::Fleet;
use crate::cli::format::{Output, print};
use crate::cli::status::{Failure, Status};
use crate::cli::terminal::{Colour, Terminal};
use crate::lock::Severity;
use crate::text::contained_line;

/// Says what is wrong with the fleet's store and its instances
///
/// Exit status: 0 if there is no error, 1 if there is one, 5 if the store cannot be asked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Doctor {
    /// Treats warnings as errors
    #[arg(long)]
    deny_warnings: bool,
    #[command(flatten)]
    output: Output,
}

impl Doctor {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let findings = fleet.diagnose().await?;
        let worst = findings.iter().map(|finding| finding.severity).max();
        let all = findings.iter().map(|finding| {
            json!({
                "severity": finding.severity.as_str(),
                "subject": contained_line(&finding.subject, 200),
                "text": contained_line(&finding.text, 2_000),
            })
        });
        if !self.output.wrote(&all.collect::<Vec<_>>())? {
            let terminal = Terminal::stdout();
            let mut text = String::new();
            for finding in &findings {
                let word = finding.severity.as_str();
                let word = terminal.paint(Colour::of(word), &format!("{word:<7}"));
                let subject = contained_line(&finding.subject, 200);
                let said = contained_line(&finding.text, 2_000);
                text.push_str(&format!("{word}  {subject}: {said}\n"));
            }
            print(&text);
        }
        Ok(match worst {
            Some(Severity::Error) => Status::Failed,
            Some(Severity::Warning) if self.deny_warnings => Status::Failed,
            _ => Status::Done,
        })
    }
}

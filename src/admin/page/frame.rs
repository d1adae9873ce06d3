//! What is around every screen: head, navigation, who is asked, how old it is.

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

use super::assets::{CSS, JS};
use super::words::{iso, path_part};

/// The screens that one can go to from everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    Tasks,
    Activity,
    Cluster,
}

/// What the viewer may do: what they may not is not offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct May {
    pub(super) run: bool,
    pub(super) pause: bool,
    pub(super) override_: bool,
    pub(super) cancel: bool,
    pub(super) drain: bool,
    pub(super) unlock: bool,
    /// Save and delete tasks that are defined at run time, where there is a store for them.
    pub(super) dynamic: bool,
}

/// What every screen is shown in.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Where the page is mounted, without a slash at its end.
    pub(super) base: String,
    /// The name of the service.
    pub(super) title: String,
    /// Where it runs, and the class of a colour for that.
    pub(super) environment: Option<(String, &'static str)>,
    /// What is said of the fleet in a few words.
    pub(super) fleet: String,
    /// The viewer's name, if they have one.
    pub(super) viewer: Option<String>,
    pub(super) may: May,
    pub(super) now: DateTime<Utc>,
    /// When what is shown was read.
    pub(super) read_at: DateTime<Utc>,
    /// Why it is older than it should be.
    pub(super) stale: Option<String>,
}

impl Frame {
    /// A path below the base, which begins with a slash.
    pub(super) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn to_task(&self, task: &str) -> String {
        format!("{}/tasks/{}", self.base, path_part(task))
    }

    pub(super) fn to_run(&self, id: &str) -> String {
        format!("{}/runs/{}", self.base, path_part(id))
    }

    /// A screen, which is kept fresh.
    pub(super) fn page(
        &self,
        screen: Screen,
        (name, zone): (&str, Option<&str>),
        main: &Markup,
    ) -> Markup {
        self.whole(Some(screen), (name, zone), main)
    }

    /// A page that says something once.
    pub(super) fn notice(&self, name: &str, main: &Markup) -> Markup {
        self.whole(None, (name, None), main)
    }

    fn whole(
        &self,
        screen: Option<Screen>,
        (name, zone): (&str, Option<&str>),
        main: &Markup,
    ) -> Markup {
        let class = self.stale.as_ref().map(|_| "stale");
        let current = |of| (screen == Some(of)).then_some("page");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    title { (name) " · " (self.title) }
                    link rel="stylesheet" href=(self.to(&CSS.path()));
                    link rel="icon" href="data:,";
                    script src=(self.to(&JS.path())) defer {}
                }
                body class=[class] data-poll=[screen.map(|_| "5000")] data-now=(iso(self.now)) data-zone=[zone] {
                    a.skip href="#main" { "To the content" }
                    header {
                        b { (self.title) }
                        @if let Some((name, colour)) = &self.environment { span class={ "env " (colour) } { (name) } }
                        nav aria-label="Screens" {
                            a href=(self.to("/")) aria-current=[current(Screen::Tasks)] data-key="t" { "Tasks" }
                            a href=(self.to("/activity")) aria-current=[current(Screen::Activity)] data-key="a" { "Activity" }
                            a href=(self.to("/cluster")) aria-current=[current(Screen::Cluster)] data-key="c" { "Cluster" }
                        }
                        span.sp {}
                        @if let Some(viewer) = &self.viewer { span.mute.hid { (viewer) } }
                        span #fleet .mute data-live { (self.fleet) }
                        span.mute { span.hid { "times in " } button #zone type="button" hidden title="Change the zone of times" { "UTC" } noscript { "UTC" } }
                        span.news role="status" #news { "as of " time data-read data-abs="" datetime=(iso(self.read_at)) { (self.read_at.format("%H:%M:%S")) } " UTC" }
                        button.hid type="button" popovertarget="help" data-key="?" aria-label="Keys" { "?" }
                    }
                    div.banner #banner data-live role="alert" {
                        span #who { @match &self.stale { Some(why) => (why), None => "What is shown is old." } }
                        " No data since " time #since data-read data-abs="" datetime=(iso(self.read_at)) { (self.read_at.format("%H:%M:%S")) } ": what you see is how it was then."
                    }
                    main #main tabindex="-1" { (main) }
                    (help())
                }
            }
        }
    }
}

fn help() -> Markup {
    let keys = [
        ("t a c", "Tasks, Activity, Cluster"),
        ("/", "filter"),
        ("j k", "next row, row before"),
        ("Enter", "open the row"),
        ("r", "run the row's task, or this one, now"),
        ("p", "pause or resume it"),
        ("?", "these keys"),
        ("Esc", "close a dialog"),
    ];
    html! {
        dialog popover #help aria-labelledby="help-t" {
            h2 #help-t { "Keys" }
            dl { @for (key, what) in keys { dt { @for k in key.split(' ') { kbd { (k) } " " } } dd { (what) } } }
        }
    }
}

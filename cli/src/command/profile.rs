//! `ringmain profile`: presets of the tuning file.

use clap::{Args, Subcommand};
use ringmain_config::tuning::profile::{PROFILES, Profile};
use serde_json::{Value, json};

use crate::{
    fault::{Exit, Fault},
    output::{self, Format},
};

/// Show the presets of ringmain.toml.
///
/// A profile is a whole tuning file with every key, its meaning, its limits and its default. Write
/// one to a file, change what you need, delete the rest.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringmain profile show edge > ringmain.toml")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Name every profile and what it is for.
    #[command(after_help = "Example: ringmain profile list")]
    List {
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Print the tuning file of a profile.
    #[command(after_help = "Example: ringmain profile show throughput -o json")]
    Show {
        /// default, minimal, edge, throughput or demo.
        name: String,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: ShowFormat,
    },
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ShowFormat {
    /// Commented, as a file.
    #[default]
    Toml,
    /// For programs.
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    match &arguments.action {
        Action::List { output } => list(*output)?,
        Action::Show { name, output } => show(name, *output)?,
    }
    Ok(Exit::Fine)
}

fn list(format: Format) -> Result<(), Fault> {
    match format {
        Format::Text => {
            let rows = PROFILES
                .iter()
                .map(|profile| [profile.name.to_owned(), profile.about.to_owned()]);
            output::print(&output::table(["NAME", "PURPOSE"], rows))
        }
        Format::Json => {
            let profiles: Vec<_> = PROFILES
                .iter()
                .map(|profile| json!({ "name": profile.name, "purpose": profile.about }))
                .collect();
            output::json(&profiles)
        }
    }
}

fn show(name: &str, format: ShowFormat) -> Result<(), Fault> {
    let profile = Profile::named(name).ok_or_else(|| {
        let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
        Fault::Usage(format!(
            "no profile {name:?}; there are {}",
            names.join(", ")
        ))
    })?;
    let text = profile.to_toml();
    match format {
        ShowFormat::Toml => output::print(&text),
        ShowFormat::Json => {
            let value: Value = toml::from_str(&text)
                .map_err(|error| Fault::new(format!("profile {name}: {error}")))?;
            output::json(&value)
        }
    }
}

//! `sindico app check`: what an app's SQL becomes, before anything is touched.

mod effect;
mod headline;
mod json;
mod page;
mod report;

use anyhow::bail;
use tenantize::{Manifest, Sources, SqlFile, plan};

use self::page::Ink;
use self::report::Report;
use crate::app_dir::AppDir;
use crate::cli::CheckArgs;
use crate::console::Console;

/// Prints the report; an error, and so exit code 1, if anything was refused.
pub(crate) fn run(args: &CheckArgs, console: Console) -> anyhow::Result<()> {
    let folder = AppDir::read(&args.folder)?;
    let manifest = Manifest::parse(&folder.manifest)?;
    let sources = sources(folder);
    let report = match plan(&sources) {
        Ok(plan) => {
            for advice in plan.check_retention(&manifest.retention)? {
                console.note(&advice);
            }
            Report::accepted(&manifest.name, &sources, &plan, args.isolation)
        }
        Err(refusals) => Report::refused(&manifest.name, &refusals),
    };
    console.result(&json::write(&report), |_| page::write(&report, args.sql, Ink::of_this_terminal()));
    match report.refused.len() {
        0 => Ok(()),
        1 => bail!("1 statement of {} is refused", manifest.name),
        many => bail!("{many} statements of {} are refused", manifest.name),
    }
}

fn sources(folder: AppDir) -> Sources {
    let mut sources = Sources::default();
    for file in folder.files {
        let part = if file.path.starts_with("seed/") { &mut sources.seed } else { &mut sources.migrations };
        part.push(SqlFile { name: file.path, text: file.content });
    }
    sources
}

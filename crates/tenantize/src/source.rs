//! An app's SQL files, and reading them from the first to the last.

use std::collections::HashMap;

use crate::adapt::model::Model;
use crate::follow::{self, Rename};
use crate::piece::{self, Piece};
use crate::plan::{Grant, Plan, Scope, Step};
use crate::refusal::{Fault, Refusal, Refusals, Verdict};
use crate::rule::{self, Fill, Filled, Lasting, Read, Rewrite, Rows, Sql, Stage};
use crate::schema::Schema;
use crate::{loading, marker, order, syntax, tree};
use pg_query::NodeEnum;

/// A file of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFile {
    /// What refusals call it: the path below the app's directory, such as `migrations/0001_clients.sql`.
    pub name: String,
    /// What it holds. A byte order mark at the beginning is ignored.
    pub text: String,
}

/// All SQL of an app. Files are taken in the order of their names, whatever their order here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// What builds its tables.
    pub migrations: Vec<SqlFile>,
    /// What fills them: `global` tables once, a tenant's tables once per tenant.
    pub seed: Vec<SqlFile>,
}

/// Reads everything, and refuses everything that has to be refused.
pub(crate) fn read(sources: &Sources) -> Result<Plan, Refusals> {
    let mut reader = Reader::default();
    if sources.migrations.is_empty() {
        reader.refusals.push(Refusal {
            file: "migrations".to_owned(),
            line: 1,
            statement: String::new(),
            reason: "the app has no migrations".to_owned(),
            remedy: "add migrations/0001_initial.sql with its CREATE TABLE statements".to_owned(),
        });
    }
    let mut migrations = reader.files(&sources.migrations, Stage::Migration);
    reader.look_forward(&mut migrations);
    reader.grow_enums(&mut migrations);
    let (mut seed, loading) = reader.rows_of_migrations();
    seed.extend(reader.files(&sources.seed, Stage::Seed));
    match Refusals::of(reader.refusals) {
        Some(refusals) => Err(refusals),
        None => Ok(Plan {
            migrations,
            seed,
            loading,
            version: i32::try_from(sources.migrations.len()).unwrap_or(i32::MAX),
            tables: reader.schema.published(),
            extensions: reader.schema.objects.extensions.clone(),
            model: Model::new(reader.schema),
        }),
    }
}

/// What brings tables from the first `applied` migrations to all of them, each step with whether it is about tenants' rows. Rows
/// stand where the app wrote them, since the tables may hold some already.
pub(crate) fn read_since(sources: &Sources, applied: usize) -> Result<Vec<(Step, Runs)>, Refusals> {
    let mut reader = Reader { live: Some(Live { applied, ..Live::default() }), ..Reader::default() };
    let mut steps = reader.files(&sources.migrations, Stage::Migration);
    reader.look_forward(&mut steps);
    reader.grow_enums(&mut steps);
    if let Some(refusals) = Refusals::of(reader.refusals) {
        return Err(refusals);
    }
    let Live { first, runs, .. } = reader.live.unwrap_or_default();
    let since = steps.into_iter().enumerate().skip(first.unwrap_or(usize::MAX));
    Ok(since.map(|(place, step)| (step, runs.get(&place).copied().unwrap_or_default())).collect())
}

/// How a step of an app that is in use runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Runs {
    /// Once, by the owner of the tables.
    #[default]
    Once,
    /// For each tenant, as the tenant.
    Rows,
    /// The same for the values of a column that the tables have just been given: nobody's triggers have to do with it.
    Fill,
}

/// Which migrations are read for tables that have rows.
#[derive(Default)]
struct Live {
    /// How many have run.
    applied: usize,
    /// The first step of the others.
    first: Option<usize>,
    /// Steps that run otherwise than once.
    runs: HashMap<usize, Runs>,
    /// What the last statement leaves to be filled.
    fill: Option<Fill>,
}

#[derive(Default)]
struct Reader<'a> {
    live: Option<Live>,
    schema: Schema,
    refusals: Vec<Refusal>,
    /// Statements of migrations about tenants' rows, each with the part of the migrations that it stands in.
    later: Vec<(u32, Page<'a>, Piece<'a>)>,
    /// Routines, each with the place of its step and the tables that were there when it was created.
    routines: Vec<(Page<'a>, Piece<'a>, usize, Vec<String>)>,
    /// Former names of tables.
    renamed: Vec<String>,
    /// What the statements in `later` are followed through.
    renames: Vec<Rename>,
    /// The step that creates each of the schema's enumerated types.
    enums: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn files(&mut self, files: &'a [SqlFile], stage: Stage) -> Vec<Step> {
        let mut files: Vec<&SqlFile> = files.iter().collect();
        files.sort_by(|left, right| left.name.cmp(&right.name));
        let mut steps = Vec::new();
        for (nth, file) in files.into_iter().enumerate() {
            if let Some(live) = &mut self.live
                && live.applied == nth
            {
                live.first = Some(steps.len());
                self.schema.go_live();
            }
            self.file(file, stage, &mut steps);
        }
        steps
    }

    fn file(&mut self, file: &'a SqlFile, stage: Stage, steps: &mut Vec<Step>) {
        let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
        let page = Page { name: &file.name, text };
        if let Some(place) = text.find('\0') {
            let fault =
                Fault::new("the file holds a NUL byte, which SQL cannot", "remove it, or save the file as text");
            self.refuse(&page, place, "", fault);
            return;
        }
        let pieces = piece::cut(text);
        let mut end_of_last = None;
        for piece in pieces.statements {
            if syntax::is_bracket_of_dump(&piece, text) {
                continue;
            }
            let outcome = self.statement(&page, &piece, end_of_last, stage);
            end_of_last = Some(piece.start + piece.text.len());
            match outcome {
                Ok((step, Some(_))) if stage == Stage::Migration && step.scope == Scope::Tenant => {
                    if self.schema.loading.begun() || nothing(&page, &piece, &Filled::default(), &self.schema).is_none()
                    {
                        self.schema.loading.rows();
                    }
                    match &mut self.live {
                        None => self.later.push((self.schema.loading.part(), page, piece)),
                        Some(live) if live.first.is_some() => {
                            live.runs.insert(steps.len(), Runs::Rows);
                            steps.push(step);
                            // So have those that it has just made.
                            self.schema.have_rows();
                        }
                        // They have run.
                        Some(_) => {}
                    }
                }
                Ok((step, _)) => {
                    if step.grants.iter().any(|grant| matches!(grant, Grant::Routine(_))) {
                        let known = self.schema.tables().iter().map(|table| table.name.clone()).collect();
                        self.routines.push((page, piece, steps.len(), known));
                    }
                    self.enums.resize(self.schema.objects.enums.len(), steps.len());
                    steps.push(step);
                    self.fill(steps);
                }
                Err((place, fault)) => self.refuse(&page, place, piece.text, fault),
            }
        }
        if let (Err(fault), Some((place, comment))) = (marker::none(&pieces.trailing), pieces.trailing.last()) {
            self.refuse(&page, *place, comment, fault);
        }
        if let Some((place, reason)) = pieces.broken {
            let rest = text.get(place..).unwrap_or_default();
            self.refuse(&page, place, rest, Fault::new(reason, "close it, or correct the character"));
        }
        if stage == Stage::Migration {
            let line = steps.last().filter(|step| step.file == page.name).map_or(1, |step| step.line);
            steps.extend(self.tenant_indexes(&page, line));
        }
    }

    /// Lets the rows that are there have the values of a column that was just added.
    fn fill(&mut self, steps: &mut Vec<Step>) {
        let Some(live) = &mut self.live else { return };
        let (Some(fill), Some(last)) = (live.fill.take(), steps.last()) else { return };
        let step = |shared| Step { shared, own: Vec::new(), tenant: Vec::new(), grants: Vec::new(), ..last.clone() };
        let (rows, settled) = (step(vec![fill.rows]), step(fill.then));
        live.runs.insert(steps.len(), Runs::Fill);
        steps.extend([rows, settled]);
    }

    /// What migrations say about tenants' rows, once per tenant: on the tables as the last migration leaves them, since a
    /// new tenant starts with those. Also returns whether the session has to say which ones it is writing.
    fn rows_of_migrations(&mut self) -> (Vec<Step>, bool) {
        let mut filled = Filled::default();
        let mut parts = Vec::new();
        let mut nth = 0;
        for later in std::mem::take(&mut self.later).chunk_by(|left, right| left.0 == right.0) {
            let steps = self.rows_of_part(later, nth, &mut filled);
            nth += later.len();
            parts.push((later.first().map_or(0, |first| first.0), order::parents_first(steps, &self.schema)));
        }
        let said = loading::announce(&mut parts, self.schema.loading.part());
        (parts.into_iter().flat_map(|(_, steps)| steps).collect(), said)
    }

    /// `nth` is how many statements stand in the parts before.
    fn rows_of_part(
        &mut self,
        later: &[(u32, Page<'a>, Piece<'a>)],
        nth: usize,
        filled: &mut Filled,
    ) -> Vec<(Step, Option<Rows>)> {
        let mut steps = Vec::new();
        for (nth, (_, page, piece)) in (nth..).zip(later) {
            let renames = self.renames.iter().filter(|rename| nth < rename.after);
            let followed = follow::through(piece.text, renames);
            let piece = &piece.saying(followed.as_deref().unwrap_or(piece.text));
            if let Some(step) = nothing(page, piece, filled, &self.schema) {
                steps.push((step, None));
                continue;
            }
            match self.statement(page, piece, None, Stage::Seed) {
                Ok(step) => steps.push(step),
                Err((place, fault)) if fault.echo => self.refuse(page, place, piece.text, fault),
                Err((place, fault)) => {
                    if let Some(step) = self.lasting(page, piece) {
                        steps.push(step);
                    } else {
                        let reason = format!(
                            "rows are written for each new tenant when all migrations have run, and then {}",
                            fault.reason
                        );
                        let remedy = "move the statement to seed/ and write it for the tables as they are in the end";
                        self.refuse(page, place, piece.text, Fault::new(reason, remedy));
                    }
                }
            }
            if let Some((_, Some(rows))) = steps.last() {
                filled.note(rows, &self.schema);
            }
        }
        steps
    }

    /// What lasts of a statement that does not fit the tables any more.
    fn lasting(&self, page: &Page<'_>, piece: &Piece<'_>) -> Option<(Step, Option<Rows>)> {
        let tree = tree::parse(piece.text).ok()?;
        let rewrite = match rule::lasting(&tree, &self.renamed, &self.schema)? {
            Lasting::Nothing(why) => {
                return page.step(piece, &tree, Rewrite::dropped(why)).ok().map(|step| (step, None));
            }
            Lasting::Less(less) => {
                let read = Read { tree: &less, text: piece.text, data: None, global: false };
                rule::apply(read, Stage::Seed, &mut self.schema.clone()).ok()?
            }
        };
        let rows = rewrite.rows.clone();
        let note = Some("later migrations drop the other columns".to_owned());
        page.step(piece, &tree, Rewrite { note, ..rewrite }).ok().map(|step| (step, rows))
    }

    /// Routines whose bodies name tables that were created after them, as dumps have it, or stand for columns that are known
    /// only now, those of a trigger's table too: adapted to those tables.
    fn look_forward(&mut self, steps: &mut [Step]) {
        let routines = std::mem::take(&mut self.routines);
        // By its arguments, the place of the last definition.
        let mut last: HashMap<String, usize> = HashMap::new();
        for (_, piece, place, _) in &routines {
            last.extend(rule::signature(piece.text).map(|signature| (signature, *place)));
        }
        for (page, piece, place, known) in routines {
            let later =
                |table: &&crate::schema::Table| !known.contains(&table.name) && piece.text.contains(&table.name);
            if !self.schema.tables().iter().any(|table| later(&table)) && !rule::has_late_stars(piece.text) {
                continue;
            }
            match rule::adapted_routine(piece.text, &self.schema) {
                Ok(shared) => {
                    if let Some(step) = steps.get_mut(place) {
                        step.shared = vec![shared];
                    }
                }
                Err(_) if rule::signature(piece.text).and_then(|own| last.get(&own)).is_some_and(|at| *at != place) => {
                }
                // It is gone by then.
                Err(_) if rule::signature(piece.text).is_some_and(|own| !self.schema.objects.has_routine(&own)) => {}
                Err(fault) => self.refuse(&page, piece.start, piece.text, fault),
            }
        }
    }

    /// Gives enumerated types the values that later migrations add.
    fn grow_enums(&mut self, steps: &mut [Step]) {
        for (created, place) in self.schema.objects.enums.iter().zip(&self.enums) {
            if created.grown == created.written {
                continue;
            }
            let kind =
                |created: &pg_query::protobuf::CreateEnumStmt| tree::node(NodeEnum::CreateEnumStmt(created.clone()));
            let Some(step) = steps.get_mut(*place) else { continue };
            let written = kind(&created.written);
            let is_it = |sql: &&mut String| tree::parse(sql).is_ok_and(|tree| tree::same(&tree, &written));
            match tree::write(&kind(&created.grown)) {
                Ok(grown) => {
                    for texts in [&mut step.shared, &mut step.own] {
                        if let Some(text) = texts.iter_mut().find(is_it) {
                            text.clone_from(&grown);
                        }
                    }
                    let note = "with the values that later migrations add".to_owned();
                    step.note = Some(step.note.take().map_or_else(|| note.clone(), |other| format!("{other}; {note}")));
                }
                Err(fault) => self.refusals.push(Refusal {
                    file: step.file.clone(),
                    line: step.line,
                    statement: String::new(),
                    reason: fault.reason,
                    remedy: fault.remedy,
                }),
            }
        }
    }

    fn statement(
        &mut self,
        page: &Page<'_>,
        piece: &Piece<'_>,
        end_of_last: Option<usize>,
        stage: Stage,
    ) -> Result<(Step, Option<Rows>), (usize, Fault)> {
        let here = |fault| (piece.start, fault);
        syntax::check_words(piece, page.text).map_err(here)?;
        let tree = tree::parse(piece.text).map_err(|error| syntax::explain(&error, piece, page.text))?;
        let line_of_last = end_of_last.map(|end| page.line(end));
        let own_line = |place| line_of_last != Some(page.line(place));
        let marked = marker::global(&piece.leading, own_line)
            .and_then(|global| marker::none(&piece.inner).map(|()| global).map_err(here));

        // A rule that fails leaves the schema as it was before the statement.
        let mut schema = self.schema.clone();
        let step = marked.and_then(|global| {
            let read = Read { tree: &tree, text: piece.text, data: piece.data, global };
            let mut rewrite = rule::apply(read, stage, &mut schema).map_err(here)?;
            rule::owner_rights::check(&schema).map_err(here)?;
            let rows = rewrite.rows.take();
            if let Some(live) = &mut self.live {
                live.fill = rewrite.fill.take().map(rule::Filling::written).transpose().map_err(here)?;
            }
            page.step(piece, &tree, rewrite).map(|step| (step, rows)).map_err(here)
        });
        match step {
            Ok(_) => {
                if stage == Stage::Migration {
                    self.renames.extend(follow::rename(&tree, &self.schema, self.later.len()));
                }
                self.schema = schema;
                self.renamed.extend(rule::renames(&tree));
            }
            Err(_) => self.schema.mark_broken(rule::creates(&tree)),
        }
        step
    }

    /// Gives every tenants' table that has no index to find one tenant's rows by an index on `tenant_id`. At the end of
    /// a file, since a key often follows its table.
    fn tenant_indexes(&mut self, page: &Page<'_>, line: u32) -> Vec<Step> {
        // A partition has what its table has.
        let lacking = |table: &&crate::schema::Table| {
            table.scope == Scope::Tenant && table.parent.is_none() && !table.has_leading_index()
        };
        let tables: Vec<String> = self.schema.tables().iter().filter(lacking).map(|table| table.name.clone()).collect();
        let mut steps = Vec::new();
        for table in tables {
            let name = self.schema.choose_tenant_index(&table);
            let sql =
                format!("CREATE INDEX {} ON {} (tenant_id)", domain::quote_ident(&name), domain::quote_ident(&table));
            for part in self.schema.family(&table).into_iter().skip(1) {
                let name = self.schema.choose_tenant_index(&part);
                if let Ok(part) = self.schema.table_mut(&part) {
                    part.tenant_index = Some(name);
                }
            }
            if let Ok(table) = self.schema.table_mut(&table) {
                table.tenant_index = Some(name);
            }
            let file = page.name.to_owned();
            let (shared, own, tenant, grants) = (vec![sql], Vec::new(), Vec::new(), Vec::new());
            steps.push(Step { file, line, scope: Scope::Tenant, shared, own, tenant, grants, note: None });
        }
        steps
    }

    fn refuse(&mut self, page: &Page<'_>, place: usize, statement: &str, fault: Fault) {
        if fault.echo {
            return;
        }
        self.refusals.push(Refusal {
            file: page.name.to_owned(),
            line: page.line(place),
            statement: excerpt(statement),
            reason: fault.reason,
            remedy: fault.remedy,
        });
    }
}

/// The empty step of a statement that changes rows of a table that has none yet.
fn nothing(page: &Page<'_>, piece: &Piece<'_>, filled: &Filled, schema: &Schema) -> Option<Step> {
    let tree = tree::parse(piece.text).ok()?;
    let why = rule::changes_nothing(&tree, filled, schema)?;
    page.step(piece, &tree, Rewrite::dropped(why)).ok()
}

/// A file being read.
#[derive(Clone, Copy)]
struct Page<'a> {
    name: &'a str,
    text: &'a str,
}

impl Page<'_> {
    fn line(&self, place: usize) -> u32 {
        piece::line_of(self.text, place)
    }

    fn step(&self, piece: &Piece<'_>, tree: &pg_query::Node, rewrite: Rewrite) -> Verdict<Step> {
        let write = |statements: Vec<Sql>| -> Verdict<Vec<String>> {
            let written = statements.into_iter().map(|sql| match sql {
                Sql::Tree(changed) if tree::same(tree, &changed) => Ok(piece.text.to_owned()),
                Sql::Tree(changed) => tree::write(&changed),
                Sql::Text(text) => Ok(text),
            });
            written.collect()
        };
        Ok(Step {
            file: self.name.to_owned(),
            line: self.line(piece.start),
            scope: rewrite.scope,
            shared: write(rewrite.shared)?,
            own: write(rewrite.own)?,
            tenant: write(rewrite.tenant)?,
            grants: rewrite.grants,
            note: rewrite.note,
        })
    }
}

/// The beginning of a statement, on one line.
fn excerpt(statement: &str) -> String {
    const CHARS: usize = 80;
    let line = statement.split_whitespace().take(CHARS).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= CHARS {
        return line;
    }
    line.chars().take(CHARS - 1).chain(['…']).collect()
}

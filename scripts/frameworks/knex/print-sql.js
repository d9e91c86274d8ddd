// Writes what each migration would run into a folder, one file each. Nothing connects.
const fs = require("node:fs");
const path = require("node:path");
const Knex = require("knex");

const knex = Knex({ client: "pg" });

async function main(folder) {
  const migrations = path.join(__dirname, "migrations");
  for (const file of fs.readdirSync(migrations).sort()) {
    // A builder runs when it is awaited; a migration that only returns one can be asked for its SQL instead.
    const parts = [].concat(require(path.join(migrations, file)).up(knex));
    const sql = parts.map((part) => {
      const text = part.toQuery();
      return text.endsWith(";") ? text : `${text};`;
    });
    fs.writeFileSync(path.join(folder, `${path.basename(file, ".js")}.sql`), `${sql.join("\n")}\n`);
  }
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

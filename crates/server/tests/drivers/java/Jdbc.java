import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;

/** PostgreSQL's JDBC driver: statements that it prepares after some uses, batches, cursors, COPY, LISTEN, cancel. */
public final class Jdbc {
    private static final int CLIENTS = 20;
    private static final int LARGE = 10 << 20;

    public static void main(String[] words) throws Exception {
        try (Connection client = connect()) {
            rows(client);
            batches(client);
            transactions(client);
            types(client);
            cursors(client);
            copies(client);
            catalog(client);
            session(client);
            cancelled(client);
            System.out.println("advisory locks: " + code(() -> query(client, "SELECT pg_advisory_xact_lock(1)")));
        }
        notifications();
        crowd();
    }

    private static Connection connect() throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("options", System.getenv("PGOPTIONS"));
        properties.setProperty("ApplicationName", "till");
        String url = "jdbc:postgresql://%s:%s/%s";
        return DriverManager.getConnection(
                url.formatted(System.getenv("PGHOST"), System.getenv("PGPORT"), System.getenv("PGDATABASE")), properties);
    }

    private static void said(String name, Object... what) {
        System.out.println(name + ": " + Arrays.deepToString(what));
    }

    /** What comes of it, or the SQLSTATE of why nothing does. */
    private static Object code(Callable<?> doing) throws Exception {
        try {
            return doing.call();
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    private static List<String> query(Connection client, String sql) throws SQLException {
        try (Statement statement = client.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            return all(rows);
        }
    }

    private static List<String> all(ResultSet rows) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) {
            found.add(rows.getString(1));
        }
        return found;
    }

    private static int run(Connection client, String sql) throws SQLException {
        try (Statement statement = client.createStatement()) {
            return statement.executeUpdate(sql);
        }
    }

    private static void rows(Connection client) throws Exception {
        String insert = "INSERT INTO services (code, name, price) VALUES (?, ?, ?)";
        try (PreparedStatement statement = client.prepareStatement(insert, new String[] {"code", "active"})) {
            // From its fifth use on, the driver prepares a statement under a name.
            for (int nth = 0; nth < 12; nth++) {
                statement.setString(1, "jd_" + (char) ('a' + nth));
                statement.setString(2, "Tried");
                statement.setBigDecimal(3, new java.math.BigDecimal("1.50"));
                statement.executeUpdate();
            }
            ResultSet keys = statement.getGeneratedKeys();
            keys.next();
            said("rows", keys.getString("code"), keys.getBoolean("active"), code(statement::executeUpdate));
        }
        try {
            run(client, "INSERT INTO staff (name, works_as) VALUES ('Cat', 'cat')");
        } catch (PSQLException error) {
            said("error", error.getSQLState(), error.getServerErrorMessage().getConstraint());
        }
        try (Statement several = client.createStatement()) {
            boolean first = several.execute("SELECT 1; UPDATE services SET price = 2 WHERE code LIKE 'jd%'; SELECT 3");
            List<Object> results = new ArrayList<>(List.of(first));
            while (several.getMoreResults() || several.getUpdateCount() != -1) {
                results.add(several.getUpdateCount());
            }
            said("several", results);
        }
    }

    private static void batches(Connection client) throws Exception {
        try (PreparedStatement statement = client.prepareStatement("UPDATE services SET price = price + ? WHERE code = ?")) {
            for (int nth = 0; nth < 300; nth++) {
                statement.setInt(1, nth);
                statement.setString(2, nth % 3 == 0 ? "jd_a" : "nobody");
                statement.addBatch();
            }
            said("batch", Arrays.stream(statement.executeBatch()).sum(), query(client, "SELECT price FROM services WHERE code = 'jd_a'"));
        }
        try (Statement statement = client.createStatement()) {
            statement.addBatch("INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')");
            statement.addBatch("INSERT INTO staff (name, works_as) VALUES ('Cat', 'cat')");
            statement.addBatch("INSERT INTO staff (name, works_as) VALUES ('Caio', 'groomer')");
            statement.executeBatch();
        } catch (BatchUpdateException error) {
            said("failing batch", error.getSQLState(), error.getUpdateCounts());
        }
        said("after it", query(client, "SELECT name FROM staff"), run(client, "DELETE FROM services WHERE code LIKE 'jd%'"));
    }

    private static void transactions(Connection client) throws Exception {
        client.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        client.setAutoCommit(false);
        run(client, "INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer')");
        Savepoint savepoint = client.setSavepoint("before it");
        Object refused = code(() -> run(client, "SELECT 1/0"));
        Object failed = code(() -> query(client, "SELECT 1"));
        client.rollback(savepoint);
        List<String> level = query(client, "SHOW transaction_isolation");
        client.commit();
        run(client, "DELETE FROM staff");
        client.rollback();
        client.setAutoCommit(true);
        client.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        client.setReadOnly(true);
        Object readOnly = code(() -> run(client, "DELETE FROM staff"));
        client.setReadOnly(false);
        said("transactions", refused, failed, level, readOnly, run(client, "DELETE FROM staff"));
    }

    private static void types(Connection client) throws Exception {
        String sql = "SELECT ?::uuid, ?::int[], ?::bytea, ?::timestamptz, ?::numeric, ?::jsonb, ?::bool, ?::text";
        try (PreparedStatement statement = client.prepareStatement(sql)) {
            // Text at first, binary when the driver has prepared it.
            for (int turn = 0; turn < 7; turn++) {
                statement.setObject(1, new java.util.UUID(0, 7));
                statement.setArray(2, client.createArrayOf("int4", new Integer[] {1, null, 3}));
                statement.setBytes(3, new byte[] {0, -1});
                statement.setTimestamp(4, new Timestamp(turn));
                statement.setBigDecimal(5, new java.math.BigDecimal("12345678901234567890.5"));
                statement.setString(6, "{\"é\": [1, null]}");
                statement.setBoolean(7, true);
                statement.setNull(8, java.sql.Types.VARCHAR);
                ResultSet row = statement.executeQuery();
                row.next();
                Array list = row.getArray(2);
                if (turn == 0 || turn == 6) {
                    said("types", row.getObject(1), (Object[]) list.getArray(), row.getBytes(3).length, row.getTimestamp(4).getTime(),
                            row.getBigDecimal(5), row.getString(6), row.getBoolean(7), row.getString(8));
                }
            }
        }
        byte[] large = new byte[LARGE];
        Arrays.fill(large, (byte) 'x');
        try (PreparedStatement statement = client.prepareStatement("SELECT ?::bytea")) {
            statement.setBytes(1, large);
            ResultSet row = statement.executeQuery();
            row.next();
            said("large", Arrays.equals(row.getBytes(1), large));
        }
    }

    private static void cursors(Connection client) throws Exception {
        client.setAutoCommit(false);
        try (Statement statement = client.createStatement()) {
            // With a fetch size, rows come from a portal in parts.
            statement.setFetchSize(7);
            ResultSet rows = statement.executeQuery("SELECT generate_series(1, 100)");
            long sum = 0;
            while (rows.next()) {
                sum += rows.getInt(1);
                if (rows.getRow() == 50) {
                    sum += query(client, "SELECT 1").size();
                }
            }
            said("cursors", sum);
        }
        client.commit();
        client.setAutoCommit(true);
        try (Statement statement = client.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
            ResultSet rows = statement.executeQuery("SELECT name FROM species ORDER BY id");
            rows.last();
            rows.relative(-2);
            said("scrolled", rows.getRow(), rows.getString(1));
        }
    }

    private static void copies(Connection client) throws Exception {
        var copy = client.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder lines = new StringBuilder();
        for (int nth = 0; nth < 2000; nth++) {
            lines.append("copied ").append(nth).append("\treception\n");
        }
        long written = copy.copyIn("COPY staff (name, works_as) FROM STDIN", new StringReader(lines.toString()));
        var out = new ByteArrayOutputStream();
        long read = copy.copyOut("COPY (SELECT name FROM staff ORDER BY id) TO STDOUT", out);
        Object bad = code(() -> copy.copyIn("COPY staff (name, works_as) FROM STDIN", new StringReader("one column\n")));
        var given = copy.copyIn("COPY staff (name, works_as) FROM STDIN");
        byte[] line = "Bia\tgroomer\n".getBytes(StandardCharsets.UTF_8);
        given.writeToCopy(line, 0, line.length);
        given.cancelCopy();
        said("copy", written, read, out.size(), bad, run(client, "DELETE FROM staff"));
    }

    private static void catalog(Connection client) throws Exception {
        var meta = client.getMetaData();
        List<String> columns = new ArrayList<>();
        try (ResultSet rows = meta.getColumns(null, null, "animals", null)) {
            while (rows.next()) {
                String name = rows.getString("COLUMN_NAME");
                if (!name.equals("tenant_id") && !columns.contains(name)) {
                    columns.add(name);
                }
            }
        }
        columns.sort(null);
        said("catalog", columns, meta.getDatabaseProductName());
        try (PreparedStatement statement = client.prepareStatement("SELECT code, price FROM services WHERE id = ?")) {
            said("described", statement.getParameterMetaData().getParameterTypeName(1), statement.getMetaData().getColumnTypeName(2));
        }
    }

    private static void session(Connection client) throws Exception {
        try (Connection other = connect()) {
            List<String> before = query(other, "SHOW statement_timeout");
            run(client, "SET statement_timeout = '7s'");
            run(client, "CREATE TEMP TABLE kept (n int)");
            run(client, "INSERT INTO kept VALUES (1), (2)");
            said("session", query(client, "SHOW statement_timeout"), query(client, "SELECT sum(n) FROM kept"),
                    query(other, "SHOW statement_timeout").equals(before), query(client, "SHOW application_name"));
            run(client, "DISCARD ALL");
            said("discarded", code(() -> query(client, "SELECT sum(n) FROM kept")), query(client, "SHOW statement_timeout").equals(before));
        }
    }

    private static void cancelled(Connection client) throws Exception {
        try (Statement statement = client.createStatement()) {
            statement.setQueryTimeout(1);
            said("query timeout", code(() -> statement.executeQuery("SELECT pg_sleep(60)")), query(client, "SELECT 1"));
        }
    }

    private static void notifications() throws Exception {
        try (Connection listener = connect(); Connection speaker = connect()) {
            run(listener, "LISTEN pets");
            run(listener, "LISTEN owners");
            run(speaker, "NOTIFY pets, 'barks'");
            run(speaker, "NOTIFY nobody");
            run(speaker, "NOTIFY owners");
            List<String> heard = new ArrayList<>();
            while (heard.size() < 2) {
                PGNotification[] news = listener.unwrap(PGConnection.class).getNotifications(20_000);
                if (news == null || news.length == 0) {
                    break;
                }
                for (PGNotification one : news) {
                    heard.add(one.getName() + "=" + one.getParameter());
                }
            }
            said("notifications", heard);
        }
    }

    private static void crowd() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(CLIENTS);
        List<Future<Long>> work = new ArrayList<>();
        for (int nth = 0; nth < CLIENTS; nth++) {
            int least = nth;
            work.add(threads.submit(() -> crowded(least)));
        }
        List<Long> totals = new ArrayList<>();
        for (Future<Long> one : work) {
            totals.add(one.get());
        }
        threads.shutdown();
        said("crowd", totals);
    }

    private static long crowded(int least) throws SQLException {
        long total = 0;
        try (Connection client = connect();
                PreparedStatement sum = client.prepareStatement("SELECT count(*) + ? FROM breeds WHERE id > ?");
                PreparedStatement own = client.prepareStatement("SELECT " + least + " + ?")) {
            client.setAutoCommit(false);
            for (int turn = 0; turn < 15; turn++) {
                for (PreparedStatement statement : List.of(sum, own)) {
                    statement.setInt(1, turn);
                    if (statement == sum) {
                        statement.setInt(2, least);
                    }
                    ResultSet row = statement.executeQuery();
                    row.next();
                    total += row.getLong(1);
                }
                client.commit();
            }
        }
        return total;
    }
}

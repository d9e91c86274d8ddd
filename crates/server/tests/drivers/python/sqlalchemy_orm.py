"""SQLAlchemy's ORM and core, over psycopg and over asyncpg, each with SQLAlchemy's own pool."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

CLIENTS = 16


class Base(DeclarativeBase):
    pass


class Client(Base):
    __tablename__ = "clients"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    name: Mapped[str]
    email: Mapped[str | None]
    animals: Mapped[list["Animal"]] = relationship(back_populates="client", cascade="all, delete-orphan")


class Animal(Base):
    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    client_id: Mapped[int] = mapped_column(sa.ForeignKey("clients.id"))
    species_id: Mapped[int]
    name: Mapped[str]
    weight_kg: Mapped[Decimal | None]
    client: Mapped[Client] = relationship(back_populates="animals")


class Service(Base):
    __tablename__ = "services"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    price: Mapped[Decimal]


visits = sa.Table(
    "visits", Base.metadata, sa.Column("animal_id", sa.BigInteger), sa.Column("happened_at", sa.DateTime(timezone=True)),
    sa.Column("weight_kg", sa.Numeric(6, 2)), sa.Column("details", JSONB),
)


def main():
    engine = sa.create_engine("postgresql+psycopg://", pool_size=CLIENTS, pool_timeout=60)
    seed(engine)
    orm(engine)
    core(engine)
    failures(engine)
    reflection(engine)
    crowd(engine)
    engine.dispose()
    asyncio.run(with_asyncpg())


def seed(engine):
    with Session(engine) as session, session.begin():
        people = [Client(name=f"Person {nth}", email=f"p{nth}@example.com") for nth in range(30)]
        for person in people:
            person.animals = [Animal(name=name, species_id=2, weight_kg=Decimal("4.20")) for name in ("Mimi", "Tom")]
        session.add_all(people)


def orm(engine):
    with Session(engine) as session:
        people = session.scalars(
            sa.select(Client).options(selectinload(Client.animals)).where(Client.email.like("p%")).order_by(Client.id).limit(3)
        ).all()
        print("orm:", [(it.name, [animal.name for animal in it.animals]) for it in people])
        people[0].name = "Renamed"
        session.delete(people[1])
        session.commit()
        print("orm:", session.scalar(sa.select(sa.func.count()).select_from(Animal)), session.get(Client, people[0].id).name)
        with session.begin_nested() as nested:
            people[0].name = "Undone"
            session.flush()
            nested.rollback()
        session.commit()
        session.refresh(people[0])
        print("nested:", people[0].name)


def core(engine):
    with engine.begin() as connection:
        values = [{"code": f"sa_{nth}", "name": "S", "price": nth} for nth in range(5)]
        made = connection.execute(sa.insert(Service).returning(Service.code, sort_by_parameter_order=True), values).all()
        upsert = insert(Service).values(code="sa_1", name="Upserted", price=9)
        upsert = upsert.on_conflict_do_update(index_elements=["code"], set_={"name": upsert.excluded.name})
        connection.execute(upsert)
        animal = sa.select(sa.func.min(Animal.id)).scalar_subquery()
        connection.execute(visits.insert().values(animal_id=animal, happened_at=sa.func.now(), details={"a": [1, {"b": "é"}]}))
        print("core:", made, connection.execute(sa.select(Service.code, Service.name, Service.price).where(Service.code.like("sa%")).order_by(Service.code)).all())
        print("json:", connection.scalar(sa.select(visits.c.details["a"][1]["b"].astext)))
        streamed = connection.execute(sa.select(Animal.name).execution_options(stream_results=True, max_row_buffer=10))
        print("streamed:", sum(1 for _ in streamed))
        connection.execute(sa.delete(visits))
        print("gone:", connection.execute(sa.delete(Service).where(Service.code.like("sa%"))).rowcount)


def failures(engine):
    with Session(engine) as session:
        session.add(Service(code="bath", name="Twice", price=1))
        try:
            session.commit()
        except sa.exc.IntegrityError as error:
            print("twice:", error.orig.sqlstate, error.orig.diag.constraint_name)
            session.rollback()
        print("goes on:", session.scalar(sa.select(sa.func.count()).select_from(Service)))


def reflection(engine):
    inspector = sa.inspect(engine)
    columns = [(it["name"], str(it["type"])) for it in inspector.get_columns("animals") if it["name"] != "tenant_id"]
    keys = [it["referred_table"] for it in inspector.get_foreign_keys("appointments")]
    print("reflection:", columns, sorted(keys), inspector.has_table("animals"), inspector.has_table("nowhere"))


def crowd(engine):
    def work(nth):
        total = 0
        for turn in range(10):
            with engine.begin() as connection:
                total += connection.scalar(sa.text("SELECT count(*) + :turn FROM breeds WHERE id > :nth"), {"turn": turn, "nth": nth})
        return total

    with ThreadPoolExecutor(CLIENTS) as threads:
        print("crowd:", list(threads.map(work, range(CLIENTS * 2))))


async def with_asyncpg():
    settings = dict(word.split("=", 1) for word in os.environ["PGOPTIONS"].split() if "=" in word)
    address = {name: os.environ[f"PG{name.upper()}"] for name in ("host", "port", "user", "password", "database")}
    url = sa.URL.create(
        "postgresql+asyncpg", address["user"], address["password"], address["host"], int(address["port"]), address["database"]
    )
    engine = create_async_engine(url, pool_size=CLIENTS, connect_args={"server_settings": settings})

    async def work(nth):
        async with AsyncSession(engine) as session, session.begin():
            name = await session.scalar(sa.select(Service.name).where(Service.code == "bath"))
            count = await session.scalar(sa.select(sa.func.count()).select_from(Animal).where(Animal.species_id > nth % 3))
            return name, count

    print("asyncpg:", await asyncio.gather(*(work(nth) for nth in range(CLIENTS * 2))))
    async with engine.connect() as connection:
        result = await connection.stream(sa.select(Animal.name).order_by(Animal.id))
        print("asyncpg streamed:", len([row async for row in result]))
    await engine.dispose()


main()

"""A graph of triples: what becomes one node, one edge, and what other programs read back."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import networkx
import pytest
import rdflib

from kore.evaluation.graph_figure import MOST_EDGES, draw_graph
from kore.extraction.graph import build_graph, write_graph


def triple(
    subject: str, relation: str, object: str, document: str = "a", probability: float = 0.5
) -> dict[str, Any]:
    """Entities are written as "word/type"."""
    sides = {"subject": subject, "object": object}
    return {
        **{
            side: dict(zip(("word", "type"), text.rsplit("/", 1), strict=True))
            for side, text in sides.items()
        },
        "relation": relation,
        "probability": probability,
        "document": document,
    }


TRIPLES = [
    triple("서울/LOC", "has", "한강/LOC", "a", 0.5),
    triple("서울/LOC", "has", "한강/LOC", "b", 0.75),
    triple("서울/LOC", "has", "한강/LOC", "b", 0.25),
    triple("한강/PER", "wrote", '그 "책" <1>\x08\n/POH', "c", 1.0),
    triple("서울/LOC", "near", "한강/LOC", "c", 0.5),
]


def test_the_same_fact_is_one_edge_with_its_evidence() -> None:
    graph = build_graph(TRIPLES)
    assert sorted(data["type"] for _, data in graph.nodes(data=True)) == [
        *("LOC", "LOC", "PER", "POH")
    ]  # 한강 the river and 한강 the writer are two
    edges = {
        (graph.nodes[one]["name"], data["relation"]): data
        for one, _, data in graph.edges(data=True)
    }
    assert edges["서울", "has"] == {
        **{"relation": "has", "probability": 0.75, "sentences": 3, "documents": "a b"},
    }
    assert len(edges) == 3


def test_an_edge_names_its_first_documents() -> None:
    graph = build_graph([triple("가/A", "r", "나/A", str(number)) for number in range(30)])
    ((_, _, edge),) = graph.edges(data=True)
    assert edge["sentences"] == 30
    assert edge["documents"].split() == [str(number) for number in range(20)]


def test_csv_for_neo4j(tmp_path: Path) -> None:
    nodes, edges = write_graph(build_graph(TRIPLES), tmp_path / "x", "neo4j")
    with nodes.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [":ID", "name", "type", ":LABEL"]
    assert ["LOC:서울", "서울", "LOC", "Entity;LOC"] in rows
    ids = {row[0] for row in rows}
    with edges.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 3
    assert {row[":START_ID"] for row in table} | {row[":END_ID"] for row in table} == ids
    assert table[0][":TYPE"] == "has"
    assert table[0]["probability:double"] == "0.75"


def test_graphml_is_read_back(tmp_path: Path) -> None:
    graph = build_graph(TRIPLES)
    (path,) = write_graph(graph, tmp_path / "x", "graphml")
    back = networkx.read_graphml(path, force_multigraph=True)
    names = {data["name"] for _, data in back.nodes(data=True)}
    assert names == {"서울", "한강", '그 "책" <1>\ufffd\n'}  # XML has no backspace
    assert back.number_of_edges() == 3
    assert graph.nodes['POH:그 "책" <1>\x08\n']["name"].endswith("\x08\n")  # left as it was


def test_n_triples_are_read_back(tmp_path: Path) -> None:
    (path,) = write_graph(build_graph(TRIPLES), tmp_path / "x", "nt")
    lines = path.read_bytes().splitlines()
    assert lines == sorted(lines)
    back = rdflib.Graph().parse(path)
    labels = {str(label) for label in back.objects(predicate=rdflib.RDFS.label)}
    assert labels == {"서울", "한강", '그 "책" <1>\x08\n'}
    facts = [fact for fact in back if str(fact[1]).startswith("urn:kore:relation/")]
    assert len(facts) == 3
    writer = rdflib.URIRef("urn:kore:entity/PER/%ED%95%9C%EA%B0%95")
    assert back.value(writer, rdflib.RDF.type) == rdflib.URIRef("urn:kore:type/PER")


@pytest.mark.parametrize("count", [0, 1, MOST_EDGES + 5])
def test_a_picture_of_any_size(tmp_path: Path, count: int) -> None:
    triples = [triple(f"가{number}$/A", "관계", f"나{number // 3}/B") for number in range(count)]
    draw_graph(build_graph(triples), tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")

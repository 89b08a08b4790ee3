"""Triples of many sentences -> one graph, in the formats that graph databases and libraries read.

A node is a surface and a type: mentions that are written alike are one node, and nothing else is
linked. An edge is a relation between two nodes, with all sentences that state it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer

if TYPE_CHECKING:
    import networkx

NEO4J, GRAPHML, NT = "neo4j", "graphml", "nt"
_BASE = "urn:kore:"
_MOST_DOCUMENTS = 20  # that an edge names; `sentences` counts all
# Characters that XML cannot hold.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def build_graph(triples: Iterable[Mapping[str, Any]]) -> networkx.MultiDiGraph[str]:
    """The graph of triples as the JSON lines of extraction hold them.

    Nodes have `name` and `type`; edges `relation`, `probability` (of the surest sentence),
    `sentences` (how many state it) and `documents` (the first of them, divided by spaces).

    Args:
        triples: each with its `document`.
    """
    import networkx  # takes a while to import

    graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
    for triple in triples:
        ends = [_add_node(graph, triple[side]) for side in ("subject", "object")]
        relation, document = triple["relation"], str(triple["document"])
        if not graph.has_edge(*ends, key=relation):
            graph.add_edge(*ends, key=relation, relation=relation, probability=0.0, sentences=0)
        edge = graph.edges[(*ends, relation)]
        edge["probability"] = max(edge["probability"], triple["probability"])
        edge["sentences"] += 1
        documents = edge.setdefault("documents", [])
        if document not in documents and len(documents) < _MOST_DOCUMENTS:
            documents.append(document)
    for *_, edge in graph.edges(data=True):
        edge["documents"] = " ".join(edge["documents"])
    return graph


def _add_node(graph: networkx.MultiDiGraph[str], entity: Mapping[str, Any]) -> str:
    name = f"{entity['type']}:{entity['word']}"
    graph.add_node(name, name=entity["word"], type=entity["type"])
    return name


def write_graph(graph: networkx.MultiDiGraph[str], stem: Path, kind: str) -> list[Path]:
    """Writes a graph beside the triples and returns the files.

    Args:
        stem: the path of the files without their endings.
        kind: "neo4j" (two CSV files for neo4j-admin import), "graphml" or "nt" (N-Triples).

    Raises:
        UserError: N-Triples, and rdflib is not installed.
    """
    if kind == NEO4J:
        return _write_neo4j(graph, stem)
    path = graph_files(stem, kind)[0]
    with atomic_write(path, "wb") as file:
        if kind == GRAPHML:
            import networkx

            networkx.write_graphml(_without_control_characters(graph), file)
        else:
            file.writelines(_lines_of_rdf(graph))
    return [path]


def graph_files(stem: Path, kind: str) -> list[Path]:
    """The files that `write_graph` writes."""
    endings = {NEO4J: ("_nodes.csv", "_edges.csv"), GRAPHML: (".graphml",), NT: (".nt",)}
    return [stem.with_name(stem.name + ending) for ending in endings[kind]]


def _write_neo4j(graph: networkx.MultiDiGraph[str], stem: Path) -> list[Path]:
    nodes, edges = paths = graph_files(stem, NEO4J)
    with atomic_write(nodes) as file:
        writer = csv_writer(file)
        writer.writerow([":ID", "name", "type", ":LABEL"])
        for node, data in graph.nodes(data=True):
            writer.writerow([node, data["name"], data["type"], f"Entity;{data['type']}"])
    with atomic_write(edges) as file:
        writer = csv_writer(file)
        header = [":START_ID", ":END_ID", ":TYPE", "probability:double", "sentences:int"]
        writer.writerow([*header, "documents"])
        for start, end, data in graph.edges(data=True):
            cells = [data[name] for name in ("probability", "sentences", "documents")]
            writer.writerow([start, end, data["relation"], *cells])
    return paths


def _without_control_characters(
    graph: networkx.MultiDiGraph[str],
) -> networkx.MultiDiGraph[str]:
    import networkx

    def cleaned(text: str) -> str:
        return _NO_XML.sub("\ufffd", text)

    renamed: Any = networkx.relabel_nodes(graph, {node: cleaned(node) for node in graph})
    for data in [*(own for _, own in renamed.nodes(data=True)), *_edges_of(renamed)]:
        data.update({name: cleaned(v) for name, v in data.items() if isinstance(v, str)})
    return cast("networkx.MultiDiGraph[str]", renamed)


def _edges_of(graph: networkx.MultiDiGraph[str]) -> Iterator[dict[str, Any]]:
    return (data for *_, data in graph.edges(data=True))


def _lines_of_rdf(graph: networkx.MultiDiGraph[str]) -> list[bytes]:
    """N-Triples in the order of their bytes: a label and a type for each node, and the facts."""
    try:
        from rdflib import RDF, RDFS, Literal, URIRef
        from rdflib import Graph as Triples
    except ImportError as error:
        raise UserError(
            f"`graph` {NT} needs the package rdflib: poetry install --with extract, or "
            "python -m pip install rdflib"
        ) from error

    def named(kind: str, *names: str) -> URIRef:
        return URIRef(_BASE + "/".join([kind, *(quote(name, safe="") for name in names)]))

    triples = Triples()
    nodes = {
        node: named("entity", data["type"], data["name"]) for node, data in graph.nodes(data=True)
    }
    for node, data in graph.nodes(data=True):
        triples.add((nodes[node], RDF.type, named("type", data["type"])))
        triples.add((nodes[node], RDFS.label, Literal(data["name"])))
    for start, end, data in graph.edges(data=True):
        triples.add((nodes[start], named("relation", data["relation"]), nodes[end]))
    text: bytes = triples.serialize(format="nt", encoding="utf-8")
    return sorted(text.splitlines(keepends=True))

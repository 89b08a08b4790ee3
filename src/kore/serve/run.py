"""The command `kore serve`."""

from __future__ import annotations

import socket

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.extraction.assembly import make_extractor
from kore.extraction.sentences import splitter_of
from kore.network.checkpoint import load_model
from kore.network.emotion_file import load_emotions
from kore.network.locate import find_emotions, find_model, find_tagger
from kore.network.tagger_file import load_tagger
from kore.prediction.api import Model
from kore.prediction.judging import Judge
from kore.prediction.predictor import ComputeOn
from kore.serve.options import ServeOptions

_LAST_SECONDS = 60  # for requests that were accepted before SIGTERM


def serve(options: ServeOptions) -> None:
    """Answers over HTTP until Ctrl-C or SIGTERM, and then finishes what it took.

    Raises:
        UserError: the port is in use, a model is missing, or the group `serve` is not installed.
    """
    try:
        import uvicorn

        from kore.serve.app import make_app
        from kore.serve.reader import Reader
    except ModuleNotFoundError as error:
        raise UserError(
            f"the service needs {error.name}: poetry install --with serve, or pip install fastapi "
            "uvicorn prometheus-client"
        ) from error
    tagger_file = find_tagger(options.ner_model, options.model_dir)
    model_file = find_model(options.model_file, options.model_dir)
    emotion_file = None
    if options.emotion_model:
        (emotion_file,) = find_emotions([options.emotion_model], options.model_dir)
    with bound_socket(options.host, options.port) as listener:
        accelerator = make_accelerator(options)
        tagger, relations = load_tagger(tagger_file), load_model(model_file)
        extractor = make_extractor(
            tagger,
            relations,
            accelerator,
            inverses=options.inverses,
            split=splitter_of(options.sentences),
            batch_tokens=options.batch_tokens,
            compiled=options.compile,
        )
        compute = ComputeOn(accelerator.device, accelerator.mixed_precision)
        model = Model(relations, compute, options.batch_tokens)
        names = (tagger_file.name, model_file.name)
        judge = None
        if emotion_file is not None:
            judge = Judge(
                {str(emotion_file): load_emotions(emotion_file)},
                compute,
                batch_tokens=options.batch_tokens,
            )
        app = make_app(
            Reader(tagger, extractor, model, names, judge), options, options.min_probability
        )
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_LAST_SECONDS,
            server_header=False,
        )
        print(f"Listening on {url_of(listener)} (Ctrl-C stops)", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that has the port, so that nobody waits for models in vain.

    Raises:
        UserError: no such address, or the port is in use or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:  # a..b is no name at all
        reason = getattr(error, "strerror", None) or "not the name of a host"
        raise UserError(f"`host` {host}: {reason}") from error
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a stopped one lingers a minute
    try:
        bound.bind(address)
        bound.listen()
    except OSError as error:
        bound.close()
        raise UserError(
            f"port {port} of {host}: {error.strerror}; pass another `port`, or 0 for a free one"
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"

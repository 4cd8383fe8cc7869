"""Commands that serve until they are stopped: web, coinnews. Imported parts are heavy, so only on use."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


@app.command()
def web(host: Host = "127.0.0.1", port: Port = 18000) -> None:
    """Serve the web page and the REST API alone, without Airflow."""
    from coinwatch.web.server import serve

    serve(host, port)


@app.command()
def coinnews(
    host: Host = "127.0.0.1",
    port: Port = 18600,
    data_dir: Annotated[Path, typer.Option(help="Where the market's history is kept.")] = Path("coinnews-data"),
    seed: Annotated[int, typer.Option(help="The simulated market; the same seed gives the same prices.")] = 1,
    replay: Annotated[Path | None, typer.Option(help="Play a CSV file of one-minute candles as the market.")] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="Candles per minute of the replay.")] = 1.0,
    coin: Annotated[str, typer.Option(help="The coin that the file replays.")] = "BTC",
    loop: Annotated[bool, typer.Option(help="Start again when the file ends.")] = False,
) -> None:
    """Serve the bundled market-data API: simulated prices, or recorded ones."""
    from coinwatch.coinnews.server import serve

    serve(host=host, port=port, data_dir=data_dir, seed=seed, replay=replay, speed=speed, coin=coin, loop=loop)

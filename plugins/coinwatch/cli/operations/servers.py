"""Run servers: web, coinnews. Their modules are slow to import, so the commands import them."""

from pathlib import Path
from typing import Annotated

import typer

from coinwatch.logs import configure_logs

app = typer.Typer()

Host = Annotated[str, typer.Option(help="Address to listen on. 0.0.0.0 listens on all networks.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


@app.command()
def web(host: Host = "127.0.0.1", port: Port = 18000) -> None:
    """Serve the web app and REST API without Airflow."""
    from coinwatch.web.server import serve

    configure_logs()
    serve(host, port)


@app.command()
def coinnews(
    host: Host = "127.0.0.1",
    port: Port = 18600,
    data_dir: Annotated[Path, typer.Option(help="Directory for the market's history.")] = Path("coinnews-data"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated market. The same seed gives the same prices.")] = 1,
    replay: Annotated[Path | None, typer.Option(help="CSV file of one-minute candles to replay as the market.")] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="Candles of the replay per minute.")] = 1.0,
    coin: Annotated[str, typer.Option(help="Coin whose prices the file contains.")] = "BTC",
    loop: Annotated[bool, typer.Option(help="Restart the replay when the file ends.")] = False,
) -> None:
    """Serve the bundled market-data API.

    Prices are simulated, or replayed from a file.
    """
    from coinwatch.coinnews.server import serve

    configure_logs()
    serve(host=host, port=port, data_dir=data_dir, seed=seed, replay=replay, speed=speed, coin=coin, loop=loop)

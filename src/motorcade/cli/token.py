"""`motorcade token`: an access token for the API, without the OAuth flow."""

from pathlib import Path
from typing import Annotated

import typer

from motorcade.cli.data import (
    CLI_CLIENT,
    DEFAULT_DATA,
    DataOption,
    note_deed,
    running_server,
)
from motorcade.cli.render import new_app, print_json
from motorcade.config import Config, IdentityConfig

app = new_app()
_TTL_S = Config().api.token_ttl_s


@app.command(
    epilog='Example: motorcade token --scopes "vehicle_device_data vehicle_cmds" --ttl 3600'
)
def token(
    scopes: Annotated[str, typer.Option(help="What it allows, separated by spaces.")],
    data: DataOption = DEFAULT_DATA,
    subject: Annotated[
        str, typer.Option(help="Who holds it: 'owner', or another vehicle's owner or driver.")
    ] = "owner",
    ttl: Annotated[int, typer.Option(metavar="SECONDS", help="How long it is good.")] = _TTL_S,
) -> None:
    """Make an access token for the API and print it as JSON."""
    from motorcade.identity.authority import open_authority
    from motorcade.identity.tokens import token_authority
    from motorcade.registry.audit.port import What

    wanted = scopes.replace(",", " ").split()
    tokens = token_authority(open_authority(data, config=_identity(data)))
    minted = tokens.mint(subject, wanted, ttl_s=ttl, client_id=CLI_CLIENT)
    note_deed(data, What.MADE_TOKEN, f"of {subject}, for {ttl} s: {' '.join(wanted)}")
    print_json(
        {
            "access_token": minted,
            "token_type": "Bearer",
            "expires_in": ttl,
            "scope": " ".join(wanted),
        }
    )


def _identity(data: Path) -> IdentityConfig:
    """As the running server names itself, if one runs: clients choose their host by a token."""
    ready = running_server(data) or {}
    region = ready.get("region", IdentityConfig().region)
    return IdentityConfig(region=region, public_url=ready.get("fleet_base_url", ""))

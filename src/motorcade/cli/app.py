"""`motorcade app`: the apps that may ask people for access."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from motorcade.cli.data import (
    DEFAULT_DATA,
    READY_FILE,
    DataOption,
    note_deed,
    opened_registry,
    require_data,
    running_server,
)
from motorcade.cli.render import CommandError, new_app, print_json, print_table

app = new_app(
    "Apps that ask people for access by OAuth.",
    'motorcade app add --name Charger --redirect-uri https://app.example/cb --scopes "openid"',
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DomainArgument = Annotated[
    str, typer.Argument(help="Such as app.example, without https://.", show_default=False)
]
ClientArgument = Annotated[str, typer.Argument(help="The app's client id.", show_default=False)]


@app.callback()
def group() -> None:
    """Apps that ask people for access by OAuth."""


@app.command(
    epilog="Example: motorcade app add --name Charger --redirect-uri https://app.example/callback "
    '--scopes "openid offline_access vehicle_device_data vehicle_charging_cmds"'
)
def add(
    name: Annotated[str, typer.Option(help="What people are shown.")],
    scopes: Annotated[str, typer.Option(help="What it may ask for, separated by spaces.")],
    data: DataOption = DEFAULT_DATA,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option(metavar="URI", help="Where browsers go back to, to the letter; repeatable."),
    ] = None,
    purpose: Annotated[str, typer.Option(help="What it is for; people are shown it.")] = "",
    domain: Annotated[str, typer.Option(help="Where its public key lies.")] = "",
    public_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Its public key, P-256.")
    ] = None,
    client_id: Annotated[str, typer.Option(help="Its client id; drawn unless given.")] = "",
    public: Annotated[
        bool, typer.Option("--public", help="Without a secret: it proves itself by PKCE.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Register an app; prints its client id and secret, the secret only now."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What
    from motorcade.registry.people.port import AppRequest

    asked = AppRequest(
        name=name,
        redirect_uris=tuple(redirect_uri or ()),
        scopes=tuple(scopes.replace(",", " ").split()),
        purpose=purpose,
        domain=domain,
        public_key_pem=_read(public_key),
        client_id=client_id,
        confidential=not public,
    )
    with opened_registry(data, open_authority(data)) as registry:
        added, secret = registry.people.add_app(asked)
    note_deed(data, What.REGISTERED_APP, f"{added.name} ({added.client_id})")
    if as_json:
        print_json({"client_id": added.client_id, "client_secret": secret or None})
    elif secret:
        print(f"client id      {added.client_id}\nclient secret  {secret}\n")
        print("The secret is shown only now.")
    else:
        print(f"client id  {added.client_id}\n\nIt has no secret: it proves itself by PKCE (S256).")


@app.command("list", epilog="Example: motorcade app list --json")
def list_(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """List apps and what each may ask for."""
    from motorcade.identity.authority import open_authority

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        apps = registry.people.apps()
    if as_json:
        print_json([asdict(each) for each in apps])
        return
    rows = [
        [each.client_id, each.name, "\n".join(each.redirect_uris), " ".join(each.scopes)]
        for each in apps
    ]
    print_table(["client id", "name", "redirect URIs", "may ask for"], rows)


@app.command(epilog="Example: motorcade app renew 3f2a...")
def renew(
    client_id: ClientArgument, data: DataOption = DEFAULT_DATA, as_json: JsonOption = False
) -> None:
    """Draw a new secret; the old one is refused from now on."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        secret = registry.people.renew_secret(client_id)
    note_deed(data, What.RENEWED_SECRET, client_id)
    if as_json:
        print_json({"client_id": client_id, "client_secret": secret})
    else:
        print(f"client secret  {secret}\n\nThe secret is shown only now.")


@app.command(epilog="Example: motorcade app revoke 3f2a...")
def revoke(client_id: ClientArgument, data: DataOption = DEFAULT_DATA) -> None:
    """End an app: its tokens are refused and its open streams closed at once, for all people."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        revoked = registry.people.revoke_app(client_id)
    note_deed(data, What.ENDED_APP, f"{revoked.name} ({client_id})")
    print(f"{revoked.name} revoked: whatever it holds is refused from now on")


@app.command(epilog="Example: motorcade app register 3f2a... app.example")
def register(
    client_id: ClientArgument, domain: DomainArgument, data: DataOption = DEFAULT_DATA
) -> None:
    """Register an app with a domain and its uploaded key, without asking the domain for it."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What
    from motorcade.registry.people.names import check_domain, public_point

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        found = registry.people.app(client_id)
        if found is None:
            raise CommandError(
                f"no app has the client id {client_id!r}: `motorcade app list` shows all"
            )
        if not found.public_key_pem:
            raise CommandError("the app has no public key: upload one on the page /developer")
        point = public_point(found.public_key_pem)
        name = check_domain(domain)
        if not name:
            raise CommandError("the domain is empty: give the one that serves the app's public key")
        row = registry.sharing.register(client_id, name, point)
    note_deed(data, What.REGISTERED_DOMAIN, f"{row.domain}, {found.name} ({client_id})")
    print(f"{found.name} is registered with {row.domain}")


@app.command(epilog="Example: motorcade app release app.example")
def release(domain: DomainArgument, data: DataOption = DEFAULT_DATA) -> None:
    """Take a domain from the app that registered with it, so that another can."""
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        row = registry.sharing.release(domain.strip().lower())
    note_deed(data, What.RELEASED_DOMAIN, f"{row.domain}, of {row.client_id}")
    print(f"{row.domain} is free: app {row.client_id} must register again")


@app.command(epilog="Example: motorcade app rotate-key")
def rotate_key(
    data: DataOption = DEFAULT_DATA,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="A key has leaked: refuse every token signed before."),
    ] = False,
) -> None:
    """Sign access tokens with a new key from now on; a running server takes it at once."""
    from motorcade.identity import tokens
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    tokens.rotate_key(open_authority(data), forget=forget)
    note_deed(data, What.CHANGED_TOKEN_KEY, "tokens before it refused" if forget else "")
    if not forget:
        print("access tokens signed before stay good until they end")
        return
    print("every access token signed before is refused from now on")
    print("refresh tokens are not signed: apps go on with theirs; `motorcade app revoke` ends one")
    if running_server(data) is not None:
        print(f"the admin token in {data / READY_FILE} is refused, too: restart for another")


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeError) as error:
        raise CommandError(f"--public-key {path}: {error}; it must be a PEM file") from error

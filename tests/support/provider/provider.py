"""One test's OpenID provider, with Authlib's protocol: python3 provider.py DIRECTORY PORT USER SETTINGS, the key that it signs with in
KEY. It reads orders from standard input, a line each, and answers each with a line:

  set NAME JSON     how it behaves from now on
  approve CODE      a person types a device's code, and allows it
  deny CODE         ... and does not
  browse URL        a browser goes there, a person logs in, and the browser follows the way back; gives the page at its end
  tamper URL [NAME=VALUE]...   the same, but the answer is changed on its way back; HOST is whom the browser thinks that it asks
  code URL          a browser goes there, a person logs in, and it stays there; gives the code that it got
  told              what happened, as JSON
"""

import base64
import json
import os
import secrets
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.jose import jwt
from authlib.oauth2.rfc6749 import ClientMixin, InvalidGrantError, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from authlib.oidc.discovery import OpenIDProviderMetadata
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server

directory, port, user, settings = sys.argv[1:]
key = os.environ["KEY"].encode()
issuer = f"https://localhost:{port}"
lock = threading.RLock()
state = {
    # So many seconds an access token is good, and what is said about it.
    "lifetime": 3600,
    "said": None,
    "subject": user,
    "interval": 1,
    "code_lifetime": 600,
    "slow_down": 0,
    "rotate": True,
    "down": False,
    "redirect": None,
    "refuse": None,
    "client_secret": None,
    "iss": issuer,
    "metadata": {},
    "delay": 0,
    "padding": 0,
    "repeat": None,
    **json.loads(settings),
}
told = {"authorizations": [], "grants": [], "refused": [], "revoked": [], "reused": 0, "discovered": 0, "issued": [], "repeated": []}
codes, devices, decisions, refresh_tokens = {}, {}, {}, {}


# What it was told, as it may say it back
FORMS = {
    "plain": lambda text: text,
    "upper": str.upper,
    "reversed": lambda text: text[::-1],
    "hex": lambda text: text.encode().hex(),
    "spaced": lambda text: " ".join(text),
    "percent": lambda text: "".join(f"%{octet:02X}" for octet in text.encode()),
    "base64": lambda text: base64.b64encode(b"x" + text.encode()).decode(),
}
SECRETS = ["code", "code_verifier", "device_code", "refresh_token", "client_secret"]


class User:
    def get_user_id(self):
        return state["subject"]


class Client(ClientMixin):
    client_id = "apiece-test"

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, uri):
        # RFC 8252 §7.3: any port
        there = urllib.parse.urlsplit(uri)
        return (there.scheme, there.hostname, there.path, there.query) == ("http", "127.0.0.1", "/", "")

    def check_client_secret(self, secret):
        return state["client_secret"] is not None and secrets.compare_digest(secret, state["client_secret"])

    def check_endpoint_auth_method(self, method, _endpoint):
        return (method == "none") == (state["client_secret"] is None)

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, _grant_type):
        return True


class Code(dict):
    def get_redirect_uri(self):
        return self["redirect_uri"]

    def get_scope(self):
        return self["scope"]

    @property
    def code_challenge(self):
        return self["challenge"]

    @property
    def code_challenge_method(self):
        return self["method"]


class Refresh(TokenMixin):
    def __init__(self, family, scope):
        self.family, self.scope, self.used = family, scope, False

    def check_client(self, _client):
        return True

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return state["lifetime"]


def access_token(scope="", **_):
    now = time.time()
    claims = {"iss": issuer, "sub": state["subject"], "iat": int(now), "scope": scope, "jti": secrets.token_hex(8)}
    claims["exp"] = int(now) + state["lifetime"]
    if state["padding"]:
        claims["padding"] = "x" * state["padding"]
    return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, key).decode()


def save_token(token, asked):
    with lock:
        family = getattr(asked, "family", None) or secrets.token_hex(4)
        if "refresh_token" in token:
            refresh_tokens[token["refresh_token"]] = Refresh(family, token.get("scope", ""))
        told["grants"].append(asked.grant_type)
        told["issued"] += [token["access_token"], token.get("refresh_token", "")]
        said = state["said"] if state["said"] is not None else state["lifetime"]
        if said == "nothing":
            token.pop("expires_in", None)
        else:
            token["expires_in"] = said


app = Flask(__name__)
app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = access_token
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = lambda *_, **__: secrets.token_urlsafe(24)
app.config["PROPAGATE_EXCEPTIONS"] = True
server = AuthorizationServer(app, query_client=lambda name: Client() if name == "apiece-test" else None, save_token=save_token)
METHODS = ["none", "client_secret_basic", "client_secret_post"]


class ByCode(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def save_authorization_code(self, code, asked):
        told["authorizations"].append(dict(asked.data))
        entry = {"redirect_uri": asked.redirect_uri, "scope": asked.scope}
        entry["challenge"], entry["method"] = asked.data.get("code_challenge"), asked.data.get("code_challenge_method")
        codes[code] = Code(entry)

    def query_authorization_code(self, code, _client):
        return codes.get(code)

    def delete_authorization_code(self, code):
        for name in [name for name, kept in codes.items() if kept is code]:
            del codes[name]

    def authenticate_user(self, _code):
        return User()


class ByRefresh(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self):
        return state["rotate"]

    def authenticate_refresh_token(self, token):
        with lock:
            if state["refuse"]:
                raise InvalidGrantError(f"{state['refuse']} {token}")
            kept = refresh_tokens.get(token)
            if kept is None:
                return None
            if kept.used:
                # Somebody has it who should not: nobody keeps what came of it (RFC 9700 §4.14.2).
                told["reused"] += 1
                for name in [name for name, other in refresh_tokens.items() if other.family == kept.family]:
                    del refresh_tokens[name]
                return None
            kept.used = state["rotate"]
            self.request.family = kept.family
            return kept

    def authenticate_user(self, _credential):
        return User()

    def revoke_old_credential(self, _credential):
        pass


class ByDevice(DeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def query_device_credential(self, device_code):
        return devices.get(device_code)

    def query_user_grant(self, user_code):
        decision = decisions.get(user_code)
        return None if decision is None else (User(), decision)

    def should_slow_down(self, _credential):
        with lock:
            slow, state["slow_down"] = state["slow_down"] > 0, max(0, state["slow_down"] - 1)
        if slow:
            told["refused"].append("slow_down")
        return slow


class Device(DeviceAuthorizationEndpoint):
    @property
    def EXPIRES_IN(self):
        return state["code_lifetime"]

    @property
    def INTERVAL(self):
        return state["interval"]

    def get_verification_uri(self):
        return issuer + "/device"

    def save_device_credential(self, client_id, scope, data):
        kept = {**data, "client_id": client_id or Client.client_id, "scope": scope, "expires_at": time.time() + data["expires_in"]}
        devices[data["device_code"]] = DeviceCredentialDict(kept)


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = METHODS

    def query_token(self, token, _hint):
        return refresh_tokens.get(token)

    def revoke_token(self, token, _request):
        for name in [name for name, other in refresh_tokens.items() if other.family == token.family]:
            told["revoked"].append(name)
            del refresh_tokens[name]


server.register_grant(ByCode, [CodeChallenge(required=True)])
server.register_grant(ByRefresh)
server.register_grant(ByDevice)
server.register_endpoint(Device)
server.register_endpoint(Revocation)


@app.before_request
def trouble():
    time.sleep(state["delay"])
    if state["down"]:
        return Response("<h1>not now</h1>", 503)
    if state["redirect"] and request.path == "/token":
        return redirect(state["redirect"], 307)
    return None


@app.get("/.well-known/openid-configuration")
def discovery():
    told["discovered"] += 1
    metadata = {
        "issuer": issuer,
        "authorization_endpoint": issuer + "/authorize",
        "token_endpoint": issuer + "/token",
        "device_authorization_endpoint": issuer + "/device_authorization",
        "revocation_endpoint": issuer + "/revoke",
        "jwks_uri": issuer + "/keys",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": METHODS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
    OpenIDProviderMetadata(metadata).validate()
    return jsonify({name: value for name, value in {**metadata, **state["metadata"]}.items() if value is not None})


@app.get("/authorize")
def authorize():
    answer = server.create_authorization_response(grant_user=None if state["refuse"] else User())
    if answer.status_code == 302 and state["iss"]:
        sign = "&" if "?" in answer.headers["Location"] else "?"
        answer.headers["Location"] += sign + urllib.parse.urlencode({"iss": state["iss"]})
    return answer


@app.post("/token")
def token():
    if state["repeat"]:
        form = FORMS[state["repeat"]]
        said = [form(request.form[name]) for name in SECRETS if name in request.form]
        told["repeated"] += said + [request.form[name] for name in SECRETS if name in request.form]
        return jsonify(error="invalid_grant", error_description=f"not {' or '.join(said)} here"), 400
    answer = server.create_token_response()
    if answer.status_code != 200:
        told["refused"].append(json.loads(answer.get_data())["error"])
    return answer


@app.post("/device_authorization")
def device_authorization():
    return server.create_endpoint_response("device_authorization")


@app.post("/revoke")
def revoke():
    return server.create_endpoint_response("revocation")


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def visit(url, tls, host=None):
    browser = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=tls))
    try:
        with browser.open(urllib.request.Request(url, headers={"Host": host} if host else {}), timeout=20) as page:
            return page.status, page.headers, page.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read().decode()


def browse(url, changes):
    tls = ssl.create_default_context(cafile=f"{directory}/ca.pem")
    status, headers, page = visit(url, tls)
    if status != 302:
        return f"{status} {page}"
    back = urllib.parse.urlsplit(headers["Location"])
    host = changes.pop("HOST", None)
    query = {**dict(urllib.parse.parse_qsl(back.query)), **changes}
    query = {name: value for name, value in query.items() if value != ""}
    status, headers, page = visit(urllib.parse.urlunsplit(back._replace(query=urllib.parse.urlencode(query))), tls, host)
    return f"{status} {' '.join(page.split())}"


def order(words):
    match words:
        case ["set", name, *value]:
            state[name] = json.loads(" ".join(value))
        case ["approve", code]:
            decisions[code] = True
        case ["deny", code]:
            decisions[code] = False
        case ["browse", url]:
            return browse(url, {})
        case ["code", url]:
            tls = ssl.create_default_context(cafile=f"{directory}/ca.pem")
            back = urllib.parse.urlsplit(visit(url, tls)[1]["Location"])
            return dict(urllib.parse.parse_qsl(back.query))["code"]
        case ["tamper", url, *changes]:
            return browse(url, dict(change.split("=", 1) for change in changes))
        case ["told"]:
            return json.dumps(told)
    return "done"


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(f"{directory}/certificate.pem", f"{directory}/key.pem")
http = make_server("127.0.0.1", int(port), app, threaded=True, ssl_context=tls)
threading.Thread(target=http.serve_forever, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    try:
        print(order(line.split()), flush=True)
    except Exception as why:  # A test wants to know.
        print(f"failed: {why!r}", flush=True)

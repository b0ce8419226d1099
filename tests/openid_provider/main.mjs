// A real OpenID provider for the tests: oidc-provider with keys that can be rotated, and with moods.
//
// It prints one line of JSON, {"issuer": ..., "control": ...}, and lives until its standard input ends. What a test asks of it goes
// to the control address, which answers also while the issuer does not:
//   POST /token            the provider's own token endpoint
//   POST /rotate?keep=yes  signs with a new key from now on, with keep beside the old ones; answers {"kid": ...}
//   POST /mood?is=         well, silent (documents are never answered), failing (500), redirecting, or gone (the port is closed)
//   GET  /asked            how often each document was asked for

import { once } from 'node:events';
import { createServer } from 'node:http';
import { generateKeyPair, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';

import Provider from 'oidc-provider';

const AS_USER = 'urn:attestry:test:as-user';
const SCOPES = ['openid', 'reviews', 'AccessReview.Read.All', 'AccessReview.ReadWrite.All', 'IdentityProvider.ReadWrite.All'];
const DOCUMENTS = ['/.well-known/openid-configuration', '/jwks'];

async function newKey() {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

const resourceServer = (audience) => ({
  audience,
  scope: SCOPES.join(' '),
  accessTokenFormat: 'jwt',
  jwt: { sign: { alg: 'RS256' } },
  identifier: () => audience,
});

function makeProvider(issuer, keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: ['portal', 'sync'].map((name) => ({
      client_id: name,
      client_secret: 'secret',
      grant_types: ['client_credentials', AS_USER],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    })),
    scopes: SCOPES,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, audience) => resourceServer(audience),
      },
    },
    ttl: { AccessToken: 3600, ClientCredentials: 3600 },
    extraTokenClaims: (ctx) => JSON.parse(ctx.oidc.params.claims ?? '{}'),
  });
  // Stands for a sign-in in a browser: a token of a user, with claims as the test wants them.
  provider.registerGrantType(
    AS_USER,
    async (ctx) => {
      const { client, params } = ctx.oidc;
      const token = new provider.AccessToken({ client, accountId: params.user, scope: params.scope });
      token.resourceServer = resourceServer(params.resource);
      if (params.expired) {
        token.iat = Math.floor(Date.now() / 1000) - 7200;
        token.exp = token.iat + 3600;
      }
      ctx.body = { access_token: await token.save(), token_type: 'Bearer' };
    },
    ['user', 'scope', 'resource', 'claims', 'expired'],
  );
  return provider;
}

let keys = [await newKey()];
let mood = 'well';
let answer;
const asked = Object.fromEntries(DOCUMENTS.map((path) => [path, 0]));

const issuing = createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (DOCUMENTS.includes(path)) {
    asked[path] += 1;
    switch (mood) {
      case 'silent':
        return;
      case 'failing':
        response.writeHead(500).end();
        return;
      case 'redirecting':
        response.writeHead(302, { location: `${control}${path}` }).end();
        return;
      default:
    }
  }
  answer(request, response);
});
issuing.listen(0, '127.0.0.1');
await once(issuing, 'listening');
const { port } = issuing.address();
const issuer = `http://127.0.0.1:${port}`;
const refresh = () => {
  answer = makeProvider(issuer, keys).callback();
};
refresh();

async function change(to) {
  if (mood === 'gone' && to !== 'gone') {
    issuing.listen(port, '127.0.0.1');
    await once(issuing, 'listening');
  }
  if (mood !== 'gone' && to === 'gone') {
    issuing.close();
    issuing.closeAllConnections();
  }
  mood = to;
}

const controlling = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://control');
  const say = (what) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(what));
  switch (pathname) {
    case '/rotate': {
      const key = await newKey();
      keys = searchParams.get('keep') === 'yes' ? [key, ...keys] : [key];
      refresh();
      return say({ kid: key.kid });
    }
    case '/mood':
      await change(searchParams.get('is'));
      return say({ mood });
    case '/asked':
      return say(asked);
    default:
      return answer(request, response);
  }
});
controlling.listen(0, '127.0.0.1');
await once(controlling, 'listening');
const control = `http://127.0.0.1:${controlling.address().port}`;

console.log(JSON.stringify({ issuer, control }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

/** `podwright token`: bootstrap tokens, by which nodes join. */
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import {
  bootstrapTokenNamespace as namespace,
  bootstrapTokenType,
  formatTokenText,
  hasTokenExpired,
  isTokenGroup,
  isTokenId,
  parseTokenText,
  readBootstrapToken,
  tokenSecretName,
  type BootstrapToken,
  type TokenText,
} from '#api/bootstrap-token/bootstrap-token.ts';
import type { Secret } from '#api/generated/objects.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import { configMaps, secrets } from '#api/schema/kind-ref.ts';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { connect } from '#client/access/connect.ts';
import { kubeconfigsNamed } from '#client/access/find-access.ts';
import { authorityIn, hashOfAuthority, serverIn } from './join/cluster-info.ts';
import { print } from './terminal/print.ts';
import type { OutputFormat } from './terminal/progress.ts';

/** Whose cluster. */
interface AccessOptions {
  readonly data: string;
  readonly kubeconfig?: string;
}

export interface TokenCreateOptions extends AccessOptions {
  /** A duration; 0: it does not end. */
  readonly ttl: string;
  readonly usages: readonly string[];
  readonly groups: readonly string[];
  readonly description?: string;
  readonly printJoinCommand?: boolean;
}

const usages = ['signing', 'authentication'];

/** Makes a token, of which the text may be given, and prints it, or the line by which a node joins with it. */
export async function runTokenCreate(text: string | undefined, options: TokenCreateOptions): Promise<void> {
  const token = text === undefined ? newToken() : parseTokenText(text);
  const problems = [
    ...(token === undefined ? ['TOKEN: write ID.SECRET, six and sixteen of a-z and 0-9'] : []),
    ...createProblems(options),
  ];
  if (token === undefined || problems.length > 0) {
    throw new PodwrightError('E_USAGE', `create a token: ${problems.join('; ')}`);
  }
  await using access = openAccess(options);

  const { client } = access;
  // Looked up first: a token that nobody can use is not made.
  const command = options.printJoinCommand === true ? await joinCommand(client, token) : undefined;
  try {
    await client.create(secrets, secretOf(token, options, systemClock.now()));
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    throw new PodwrightError(
      'E_EXISTS',
      `create token ${token.id}: there is one of that id; podwright token revoke ${token.id} takes it away`,
    );
  }
  print(command ?? formatTokenText(token));
}

/** Pure. */
export function createProblems({
  ttl,
  usages: given,
  groups,
}: Pick<TokenCreateOptions, 'ttl' | 'usages' | 'groups'>): readonly string[] {
  const unknown = given.filter((usage) => !usages.includes(usage));
  const foreign = groups.filter((group) => !isTokenGroup(group));
  return [
    ...(isDuration(ttl)
      ? []
      : [`--ttl ${ttl}: not a duration; write 24h, 30m, or 0 for a token that does not end`]),
    ...(unknown.length === 0 ? [] : [`--usages ${unknown.join(',')}: write signing, authentication or both`]),
    ...(given.length === 0 ? ['--usages: give one at least'] : []),
    ...(foreign.length === 0
      ? []
      : [`--groups ${foreign.join(',')}: write system:bootstrappers: and a name of a-z, 0-9, : and -`]),
    ...(groups.length > 0 && !given.includes('authentication')
      ? ['--groups: only a token with usage authentication is in groups']
      : []),
  ];
}

function isDuration(text: string): boolean {
  if (text === '0') return true;
  try {
    return parseDurationMs(text) >= 0;
  } catch {
    return false;
  }
}

/** The Secret of a token. Pure. */
export function secretOf(token: TokenText, options: Omit<TokenCreateOptions, 'data'>, nowMs: number): Secret {
  const { ttl, usages: given, groups, description } = options;
  const ttlMs = ttl === '0' ? 0 : parseDurationMs(ttl);
  const expiration = new Date(nowMs + ttlMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    metadata: { name: tokenSecretName(token.id), namespace },
    type: bootstrapTokenType,
    stringData: {
      'token-id': token.id,
      'token-secret': token.secret,
      ...(description === undefined ? {} : { description }),
      ...(ttlMs === 0 ? {} : { expiration }),
      ...Object.fromEntries(given.map((usage) => [`usage-bootstrap-${usage}`, 'true'])),
      ...(groups.length === 0 ? {} : { 'auth-extra-groups': groups.join(',') }),
    },
  };
}

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';

function newToken(): TokenText {
  const random = (length: number): string =>
    Array.from({ length }, () => letters[randomInt(letters.length)]).join('');
  return { id: random(6), secret: random(16) };
}

async function joinCommand(client: ApiClient, token: TokenText): Promise<string> {
  const info = await clusterInfo(client);
  const caCertPem = authorityIn(info);
  const server = serverIn(info);
  if (caCertPem === undefined || server === undefined) {
    throw new PodwrightError(
      'E_INVALID',
      'print the command to join: the ConfigMap cluster-info in kube-public names no server or no authority',
    );
  }
  return `podwright join ${server} --token ${formatTokenText(token)} --ca-hash sha256:${hashOfAuthority(caCertPem)}`;
}

async function clusterInfo(client: ApiClient): Promise<string> {
  try {
    const { data = {} } = await client.get(configMaps, { namespace: 'kube-public', name: 'cluster-info' });
    return data['kubeconfig'] ?? '';
  } catch (error) {
    if (isNotFound(error)) return '';
    throw error;
  }
}

/** One line each, with the whole token: who may read them may join nodes anyway. */
export async function runTokenList(
  options: AccessOptions & { readonly output: OutputFormat },
): Promise<void> {
  await using access = openAccess(options);

  const { items } = await access.client.list(secrets, {
    namespace,
    fieldSelector: `type=${bootstrapTokenType}`,
  });
  const tokens = items.flatMap((secret) => readBootstrapToken(secret) ?? []);
  const lines =
    options.output === 'json'
      ? tokens.map((token) => JSON.stringify(shownOf(token)))
      : renderTokens(tokens, systemClock.now());
  for (const line of lines) print(line);
}

function shownOf(token: BootstrapToken): object {
  const { expiresAtMs, description, extraGroups } = token;
  return {
    token: formatTokenText(token),
    ...(expiresAtMs === undefined ? {} : { expires: timeOf(expiresAtMs) }),
    usages: usagesOf(token),
    description,
    groups: extraGroups,
  };
}

/** As a table. Pure. */
export function renderTokens(tokens: readonly BootstrapToken[], nowMs: number): readonly string[] {
  const rows = tokens.map((token) => [
    formatTokenText(token),
    ttlOf(token, nowMs),
    token.expiresAtMs === undefined ? '<never>' : timeOf(token.expiresAtMs),
    usagesOf(token).join(',') || '<none>',
    token.description || '<none>',
    token.extraGroups.join(',') || '<none>',
  ]);
  const all = [['TOKEN', 'TTL', 'EXPIRES', 'USAGES', 'DESCRIPTION', 'EXTRA GROUPS'], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
}

function ttlOf(token: BootstrapToken, nowMs: number): string {
  if (token.expiresAtMs === undefined) return '<forever>';
  if (hasTokenExpired(token, nowMs)) return '<ended>';
  const minutes = Math.floor((token.expiresAtMs - nowMs) / 60_000);
  return minutes >= 60 ? `${Math.floor(minutes / 60)}h` : `${minutes}m`;
}

function timeOf(ms: number): string {
  return Number.isNaN(ms) ? '<no time>' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function usagesOf({ isForAuthentication, isForSigning }: BootstrapToken): readonly string[] {
  return [...(isForAuthentication ? ['authentication'] : []), ...(isForSigning ? ['signing'] : [])];
}

/** Takes tokens away, by id or whole. */
export async function runTokenRevoke(texts: readonly string[], options: AccessOptions): Promise<void> {
  const ids = texts.map((text) => (isTokenId(text) ? text : parseTokenText(text)?.id));
  if (ids.includes(undefined)) {
    throw new PodwrightError(
      'E_USAGE',
      'revoke a token: write its id, six of a-z and 0-9, or the whole token',
    );
  }
  await using access = openAccess(options);

  for (const id of ids) {
    if (id === undefined) continue;
    try {
      await access.client.delete(secrets, { namespace, name: tokenSecretName(id) });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw new PodwrightError(
        'E_NOT_FOUND',
        `revoke token ${id}: there is none; podwright token list shows those that there are`,
      );
    }
    print(`token ${id} revoked`);
  }
}

interface Access extends AsyncDisposable {
  readonly client: ApiClient;
}

/** As the administrator: by --kubeconfig, $KUBECONFIG, or the one that up or a server wrote into its data directory. */
export function openAccess(options: AccessOptions): Access {
  const client = connect({ kubeconfig: requireKubeconfigs(options), userAgent: 'podwright-token' });
  return { client, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

/** The files that are meant, of $KUBECONFIG those that are there. @throws {E_NOT_FOUND} where there is none */
export function requireKubeconfigs({ kubeconfig, data }: AccessOptions): readonly string[] {
  const own = ['kubeconfig', join('server', 'kubeconfig')].map((name) => join(resolve(data), name));
  const named = kubeconfig === undefined ? kubeconfigsNamed(process.env) : [kubeconfig];
  const there = (named.length > 0 ? named : own).filter((path) => existsSync(path));
  if (there.length > 0) return named.length > 0 ? there : there.slice(0, 1);
  const why =
    named.length > 0
      ? `no such file ${named.join(', ')}; name another with ${kubeconfig === undefined ? 'KUBECONFIG' : '--kubeconfig'}`
      : `no kubeconfig in ${resolve(data)}; start podwright up, or name one with --kubeconfig, or its directory with --data`;
  throw new PodwrightError('E_NOT_FOUND', `find the cluster: ${why}`);
}

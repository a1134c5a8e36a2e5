/**
 * Image references as Docker and the OCI distribution specification write them: `[host[:port]/]path[:tag][@digest]`,
 * completed as Docker does (`busybox` is `docker.io/library/busybox:latest`).
 */
import { PodwrightError } from '#base/errors.ts';
import { digestForm, isDigest } from './digest.ts';
import { shortened } from './document.ts';

export interface ImageReference {
  /** Registry as named, with its port: `docker.io`, `localhost:5000`. */
  readonly host: string;
  readonly path: string; // library/busybox
  readonly tag: string | undefined; // undefined only with a digest
  readonly digest: string | undefined; // sha256:…
}

/** Bound of the whole name, docker.io's and the distribution specification's customary 255 for host and path. */
export const referenceNameCharactersMax = 255;

// Grammar of the distribution specification (reference.regexp): components of lower-case letters, digits and separators.
const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const hostPattern =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?$/;
const tagPattern = /^\w[\w.-]{0,127}$/;

/** @throws E_INVALID with a line that says what is wrong with it */
export function parseReference(text: string): ImageReference {
  const reason = (why: string): PodwrightError =>
    new PodwrightError(
      'E_INVALID',
      `parse image reference ${JSON.stringify(shortened(text))}: ${shortened(why)}`,
    );
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw reason(`the digest is not ${digestForm}`);
  const named = at < 0 ? text : text.slice(0, at);
  const { host, rest } = splitHost(named);
  const colon = rest.lastIndexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (tag !== undefined && !tagPattern.test(tag)) throw reason(`${JSON.stringify(tag)} is not a tag`);
  if (!hostPattern.test(host)) throw reason(`${JSON.stringify(host)} is not a registry host`);
  if (!pathPattern.test(path)) {
    throw reason(
      path === path.toLowerCase()
        ? 'the repository name is malformed'
        : 'the repository name must be lower case',
    );
  }
  const isDockerHub = host === 'docker.io' || host === 'index.docker.io';
  const fullPath = isDockerHub && !path.includes('/') ? `library/${path}` : path;
  if (host.length + fullPath.length > referenceNameCharactersMax) throw reason('the name is too long');
  return {
    host: isDockerHub ? 'docker.io' : host,
    path: fullPath,
    tag: tag ?? (digest === undefined ? 'latest' : undefined),
    digest,
  };
}

/** Why a text is no reference, in the words of the parser that the kubelet has (distribution/reference, ParseNormalizedNamed). */
export function referenceFault(text: string): string {
  const { host, rest } = splitHost(text);
  const [path = ''] = rest.split(':');
  const isShort = /^(?:index\.)?docker\.io$/.test(host) && !rest.includes('/');
  const name = isShort ? `library/${path}` : path;
  if (name !== name.toLowerCase()) {
    return `invalid reference format: repository name (${name}) must be lowercase`;
  }
  const isLong = hostPattern.test(host) && pathPattern.test(path) && name.length > referenceNameCharactersMax;
  return isLong
    ? `repository name must not be more than ${referenceNameCharactersMax} characters`
    : 'invalid reference format';
}

/** The first component is a registry if it looks like one: a dot, a port, `localhost`, or upper case. */
function splitHost(named: string): { readonly host: string; readonly rest: string } {
  const slash = named.indexOf('/');
  const first = slash < 0 ? '' : named.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  return isHost ? { host: first, rest: named.slice(slash + 1) } : { host: 'docker.io', rest: named };
}

/** `docker.io/library/busybox`. */
export function repositoryOf(reference: ImageReference): string {
  return `${reference.host}/${reference.path}`;
}

/** The canonical text: `docker.io/library/busybox:latest`, `…@sha256:…` (a tag beside a digest is kept). */
export function formatReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${repositoryOf(reference)}${tag}${digest}`;
}

/** Whether the text is an image id (`sha256:…` or its 64 hex digits) rather than a name. */
export function isImageId(text: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{64}$/.test(text);
}

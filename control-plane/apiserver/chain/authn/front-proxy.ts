import type { Clock } from '#base/clock.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { refused, type Authenticator, type Finding } from './authenticator.ts';
import { certificateOf, judgeBy, type CurrentBundle } from './client-certificate.ts';
import { readHeaders, unescapeKey } from './headers.ts';

/** In which headers a proxy in front says who asks, and who such a proxy is (the --requestheader-* flags of kube-apiserver). */
export interface FrontProxyOptions {
  /** CNs of its certificate; all of the bundle's where there are none. */
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
}

/** Who asks in words of a proxy that shows a certificate of the bundle; of anybody else the headers say nothing. */
export function frontProxyAuthenticator(
  bundle: CurrentBundle,
  options: FrontProxyOptions,
  clock: Pick<Clock, 'now'>,
): Authenticator {
  const judge = judgeBy(bundle, clock);
  return {
    name: 'front proxy',
    authenticate: async (request) => {
      const certificate = certificateOf(request);
      if (certificate === undefined || bundle() === undefined) return undefined;
      const problem = await judge(certificate);
      if (problem !== '') return refused(problem);
      const { allowedNames } = options;
      const { commonName } = certificate;
      if (allowedNames.length > 0 && !allowedNames.includes(commonName))
        return refused(`x509: subject with cn=${commonName} is not in the allowed list`);
      return userOf(request, options);
    },
  };
}

function userOf(request: ApiRequest, options: FrontProxyOptions): Finding {
  const values = readHeaders(request);
  const valuesOf = (names: readonly string[]): readonly string[] =>
    names.flatMap((name) => values.get(name.toLowerCase()) ?? []);
  const [name] = firstValues(options.usernameHeaders, values);
  if (name === undefined) return undefined;
  const [uid] = firstValues(options.uidHeaders, values);
  const extra = extraOf(options.extraHeaderPrefixes, values);
  const user: User = {
    name,
    ...(uid === undefined ? {} : { uid }),
    groups: valuesOf(options.groupHeaders).filter((group) => group !== ''),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  return { user };
}

/** Of each header the first value counts, of the headers the first that says something. */
function firstValues(
  names: readonly string[],
  values: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  return names.flatMap((name) => values.get(name.toLowerCase())?.[0] ?? []).filter((value) => value !== '');
}

function extraOf(
  prefixes: readonly string[],
  values: ReadonlyMap<string, readonly string[]>,
): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, readonly string[]>();
  for (const prefix of prefixes.map((each) => each.toLowerCase())) {
    for (const [name, given] of values) {
      if (!name.startsWith(prefix)) continue;
      const key = unescapeKey(name.slice(prefix.length));
      extra.set(key, [...(extra.get(key) ?? []), ...given]);
    }
  }
  return Object.fromEntries(extra);
}

/** What a front proxy is believed in where nothing else was said, and what nobody behind this server may see. */
export const standardHeaders: FrontProxyOptions = {
  allowedNames: [],
  usernameHeaders: ['X-Remote-User'],
  uidHeaders: ['X-Remote-Uid'],
  groupHeaders: ['X-Remote-Group'],
  extraHeaderPrefixes: ['X-Remote-Extra-'],
};

/**
 * Whether a header says who asks, in the standard words or in those of the options, for this server alone: it is not passed on, lest who
 * is behind believe it. `_` counts as `-`, as servers behind CGI or WSGI read it.
 */
export function isIdentityHeader(options: FrontProxyOptions | undefined): (name: string) => boolean {
  const all = options === undefined ? [standardHeaders] : [standardHeaders, options];
  const names = new Set(
    all.flatMap((one) => [...one.usernameHeaders, ...one.uidHeaders, ...one.groupHeaders]).map(plain),
  );
  const prefixes = [...all.flatMap((one) => one.extraHeaderPrefixes), 'Impersonate-'].map(plain);
  return (name) => {
    const asked = plain(name);
    return names.has(asked) || prefixes.some((prefix) => asked.startsWith(prefix));
  };
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

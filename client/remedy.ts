import { errnoOf, isPodwrightError } from '#base/errors.ts';

/** What to do about a failure to talk to the API server, for who reads a log; undefined where the cause says all. */
export function remedyOf(error: unknown): string | undefined {
  if (isPodwrightError(error, 'E_API')) {
    const code = error.detail['httpCode'];
    if (code === 401)
      return 'the credentials are not of this cluster, or no longer: have the server write new ones, then start this again';
    if (code === 403)
      return 'the server does not let this identity do that: check its certificate and the rules';
    return undefined;
  }
  const isUnreachable = isPodwrightError(error, 'E_CONNECTION') || errnoOf(error) === 'ECONNREFUSED';
  return isUnreachable
    ? 'see whether the server runs and can be reached from here; it is tried again'
    : undefined;
}

/** The same as a field of a log line, where there is one. */
export function withRemedy(error: unknown): { readonly remedy?: string } {
  const remedy = remedyOf(error);
  return remedy === undefined ? {} : { remedy };
}

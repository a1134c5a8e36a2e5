import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';

/** Who may say nothing of themselves, and where (apiserver.config.k8s.io AnonymousAuthConfig; KEP 4633). */
export interface AnonymousAccess {
  readonly enabled: boolean;
  /** Paths that may be asked for so, each exactly; all where there are none. */
  readonly paths: readonly string[];
}

export const anybody: AnonymousAccess = { enabled: true, paths: [] };

export function mayBeAnonymous(
  { enabled, paths }: AnonymousAccess,
  { path }: Pick<ApiRequest, 'path'>,
): boolean {
  return enabled && (paths.length === 0 || paths.includes(path));
}

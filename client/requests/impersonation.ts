/** As whom requests are made by one who may impersonate. */
export interface Impersonation {
  readonly user: string;
  readonly uid?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** The headers of it. Keys of extra are percent-encoded where a header's name may not hold them (as client-go's transport does). */
export function impersonationHeaders(
  who: Impersonation | undefined,
): Readonly<Record<string, string | readonly string[]>> {
  if (who === undefined) return {};
  const { user, uid, groups = [], extra = {} } = who;
  return {
    'impersonate-user': user,
    ...(uid === undefined ? {} : { 'impersonate-uid': uid }),
    ...(groups.length === 0 ? {} : { 'impersonate-group': groups }),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [`impersonate-extra-${encodeKey(key)}`, values]),
    ),
  };
}

function encodeKey(key: string): string {
  return key
    .toLowerCase()
    .replaceAll(/[^a-z0-9!#$&'*+.^_`|~-]/g, (letter) =>
      [...Buffer.from(letter)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    );
}

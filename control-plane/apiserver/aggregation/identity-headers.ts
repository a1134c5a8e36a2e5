import type { User } from '#control-plane/apiserver/serve/request.ts';

/** Who asks, as a server behind this one believes it of who shows the front proxy's certificate; names and values in turns. */
export function identityHeaders({
  name,
  uid = '',
  groups,
  extra = {},
}: User): readonly (readonly [string, string])[] {
  return [
    ['X-Remote-User', headerText(name)],
    ...(uid === '' ? [] : [['X-Remote-Uid', headerText(uid)] as const]),
    ...groups.map((group) => ['X-Remote-Group', headerText(group)] as const),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => [`X-Remote-Extra-${escapeKey(key)}`, headerText(value)] as const),
    ),
  ];
}

/** The bytes of UTF-8, of which a header can carry those that are no controls. */
function headerText(text: string): string {
  return Buffer.from(text.replaceAll(/\p{Cc}/gu, ' '), 'utf8').toString('latin1');
}

/** A key as it may stand in the name of a header (client-go transport, headerKeyEscape): all else percent-encoded, in lower case. */
function escapeKey(key: string): string {
  return [...Buffer.from(key.toLowerCase(), 'utf8')]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[a-z0-9!#$&'*+.^_`|~-]/.test(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

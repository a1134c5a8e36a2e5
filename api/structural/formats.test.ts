import { expect, test } from 'vitest';
import { formatChecks } from './formats.ts';

/* What Go's strfmt takes and what it does not. */
test.each<readonly [string, readonly string[], readonly string[]]>([
  ['bsonobjectid', ['507f1f77bcf86cd799439011'], ['507f1f77bcf86cd79943901', 'x']],
  [
    'uri',
    ['http://a.b/c', '/a/b', 'mailto:a@b', 'http://[::1]:80/', 'https://u:p@h:1/x?y#z', 'urn:a:b', '*'],
    ['', 'a/b', '://x', 'http://h:p/', 'http://a b/', '/a%zz', 'http://%41/', 'a\u0001:b'],
  ],
  [
    'email',
    ['a@b.c', 'Ann <a@b>', '"a b"@c.d', 'a+b@c', '"Ann, B" <a@b>', 'ü@b'],
    ['', 'a', '@b', 'a@', 'a b@c', 'a@b@', 'a..b@c', '<a@b', 'a@b>'],
  ],
  [
    'hostname',
    ['a', 'a.bc', 'a-b.c1', '1a.com', 'A.BC'],
    ['', 'a.b', '-a', 'a_b', 'a..b', `${'a'.repeat(64)}.b`],
  ],
  ['ipv4', ['1.2.3.4'], ['300.1.1.1', '1.2.3', '::1', '01.2.3.4']],
  ['ipv6', ['::1', 'fe80::1', '::ffff:1.2.3.4'], ['1.2.3.4', ':::', 'fe80::1%eth0']],
  ['cidr', ['10.0.0.0/8', '::/0'], ['10.0.0.0', '10.0.0.0/33']],
  [
    'mac',
    ['00:00:5e:00:53:01', '00-00-5e-00-53-01', '0000.5e00.5301', '02:00:5e:10:00:00:00:01'],
    ['00:00:5e:00:53', '00:00-5e:00:53:01', 'x'],
  ],
  ['uuid', ['F47AC10B-58CC-4372-A567-0E02B2C3D479', 'f47ac10b58cc4372a5670e02b2c3d479'], ['f47ac10b', 'x']],
  ['uuid3', ['bcd02e22-68f0-3046-a512-327cca9def8f'], ['bcd02e22-68f0-4046-a512-327cca9def8f']],
  ['uuid4', ['025b0d74-00a2-4048-bf57-227c5111bb34'], ['025b0d74-00a2-4048-0f57-227c5111bb34']],
  ['uuid5', ['886313e1-3b8a-5372-9b90-0c9aee199e5d'], ['886313e1-3b8a-5372-0b90-0c9aee199e5d']],
  ['isbn', ['0321751043', '978-0321751041'], ['0321751042', '978-0321751042']],
  ['creditcard', ['4111-1111-1111-1111', '5500 0000 0000 0004'], ['4111-1111-1111-1112', '1']],
  ['ssn', ['111-11-1111', '111 11 1111'], ['999 11', '1']],
  ['hexcolor', ['#fff', 'FFFFFF'], ['#ff', '#ggg']],
  ['rgbcolor', ['rgb(100,100,100)', 'rgb(0, 1, 255)'], ['rgb(300,1,1)', 'rgb(1,1)']],
  ['byte', ['YQ==', 'YWI=', 'YWJj'], ['', 'YQ', '%%', 'YQ==YQ==']],
  ['password', ['', 'anything'], []],
  ['date', ['2026-02-28', '2024-02-29'], ['2026-02-29', '2026-13-01', '26-1-1', '2026-02-28T00:00:00Z']],
  [
    'datetime',
    ['2026-02-28T00:00:00Z', '2026-02-28t23:59:59.123+01:00'],
    ['2026-02-28', 'yesterday', '2026-02-28T24:00:00Z', '2026-02-28T00:00:00'],
  ],
  ['duration', ['1h30m', '300ms', '22 ns', '3 weeks', '1.5h', '-2s', '0'], ['', '1 parsec', 'h', '1']],
  ['quantity', ['1', '100m', '10Gi', '1e3'], ['', 'x', '1Q']],
  ['k8sshortname', ['a', 'a-b1'], ['', 'A', '-a', 'a'.repeat(64)]],
  ['k8slongname', ['a.b', 'a'.repeat(64)], ['', 'A.b', 'a..b', 'a'.repeat(254)]],
])('%s', (format, good, bad) => {
  const check = formatChecks.get(format);
  expect(good.filter((text) => check?.(text) !== true)).toEqual([]);
  expect(bad.filter((text) => check?.(text) !== false)).toEqual([]);
});

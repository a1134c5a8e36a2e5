import { expect, it } from 'vitest';
import { isIdentityHeader } from '#control-plane/apiserver/chain/authn/front-proxy.ts';
import { withoutHeaders } from './upgrade-head.ts';

it('headers that say who asks are not passed on, in whatever spelling', () => {
  const options = {
    allowedNames: [],
    usernameHeaders: ['X-User'],
    uidHeaders: [],
    groupHeaders: ['X-Groups'],
    extraHeaderPrefixes: ['X-About-'],
  };
  const said = [
    ...['X-Remote-User', 'x_remote_group', 'X-REMOTE-UID', 'x-remote-extra-scopes'],
    ...['Impersonate-User', 'impersonate_group', 'Impersonate-Extra-a', 'x-user', 'X_Groups', 'X-About-y'],
  ];
  const kept = ['Accept', '*/*', 'X-Remote-Address', 'x-remote-user', 'Upgrade', 'websocket'];
  const raw = [...said.flatMap((name) => [name, 'root']), ...kept];
  expect(withoutHeaders(raw, isIdentityHeader(options))).toEqual(kept);
  expect(withoutHeaders(['X-User', 'a'], isIdentityHeader(undefined))).toEqual(['X-User', 'a']);
});

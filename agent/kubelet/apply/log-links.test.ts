import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linkKnownLogs, linkLog, removeDeadLogLinks, renderLogLink } from './log-links.ts';

let root = '';
let logs = '';
const pod = { metadata: { name: 'web', namespace: 'default', uid: 'u' } };
const id = 'c'.repeat(64);

beforeEach(async () => {
  root = await mkdtemp('/tmp/podwright-log-links-');
  logs = `${root}/log/pods`;
  await mkdir(`${logs}/default_web_u/main`, { recursive: true });
  await writeFile(`${logs}/default_web_u/main/0.log`, 'a line');
});
afterEach(() => rm(root, { recursive: true }));

const log = () => ({ pod, container: 'main', id, path: `${logs}/default_web_u/main/0.log` });
const links = (): Promise<readonly string[]> => readdir(`${root}/log/containers`);

describe('links to logs of containers', () => {
  it('are named as the kubelet names them, and cut at the limit of a name', () => {
    expect(renderLogLink(logs, log())).toEqual({
      name: `web_default_main-${id}.log`,
      target: '../pods/default_web_u/main/0.log',
    });
    const long = { ...log(), pod: { metadata: { name: 'n'.repeat(253), namespace: 's' } } };
    expect(renderLogLink(logs, long).name).toBe(`${'n'.repeat(179)}_s_main-${'c'.repeat(64)}.log`);
    expect(renderLogLink(logs, long).name).toHaveLength(255);
  });

  it('lead to the log wherever the directories are, and are safe to make again', async () => {
    await linkLog(logs, log());
    await linkLog(logs, log());
    await rename(`${root}/log`, `${root}/elsewhere`);
    expect(await readFile(`${root}/elsewhere/containers/web_default_main-${id}.log`, 'utf8')).toBe('a line');
  });

  it('that an agent did not live to make are made by the next', async () => {
    const { path } = log();
    const state = { state: 'exited' } as never;
    const run = { id, name: 'main', attempt: 0, image: '', imageId: '', state };
    const observation = { uid: 'u', namespace: 'default', name: 'web', sandbox: undefined };
    const elsewhere = { ...run, id: 'e', logPath: '/elsewhere/0.log' };
    const containers = [{ ...run, logPath: path }, elsewhere, { ...run, id: 'n', logPath: undefined }];
    await linkKnownLogs(logs, [{ ...observation, containers }]);
    expect(await links()).toEqual([`web_default_main-${id}.log`]);
  });

  it('go with their logs, and nothing else does', async () => {
    await removeDeadLogLinks(logs);
    await linkLog(logs, log());
    await removeDeadLogLinks(logs);
    expect(await links()).toEqual([`web_default_main-${id}.log`]);
    await writeFile(`${root}/log/containers/file`, '');
    await symlink('/nowhere', `${root}/log/containers/foreign`);
    await symlink(`../pods/${'q'.repeat(300)}/0.log`, `${root}/log/containers/long`);
    await rm(`${logs}/default_web_u`, { recursive: true });
    await removeDeadLogLinks(logs);
    expect((await links()).toSorted()).toEqual(['file', 'foreign']);
  });
});

import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { linkKnownLogs, linkLog, removeDeadLogLinks, removeLinksOfPod, renderLogLink } from './log-links.ts';

const scratch = scratchDirectory('podwright-log-links-');
let root = '';
let logs = '';
const pod = { metadata: { name: 'web', namespace: 'default', uid: 'u' } };
const id = 'c'.repeat(64);

beforeEach(async () => {
  root = await mkdtemp(`${scratch}/`);
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

  it('of a pod go with the pod, and no others', async () => {
    await removeLinksOfPod(`${logs}/default_web_u`);
    await linkLog(logs, log());
    const others = [`../pods/default_web_later/main/0.log`, '../pods/default_web_u2/main/0.log', '/nowhere'];
    for (const [at, target] of others.entries())
      await symlink(target, `${root}/log/containers/web_default_main-${at}.log`);
    await rm(`${logs}/default_web_u`, { recursive: true });
    await removeLinksOfPod(`${logs}/default_web_u`);
    expect((await links()).toSorted()).toEqual([0, 1, 2].map((at) => `web_default_main-${at}.log`));
  });

  it('of a pod with the longest names go, too', async () => {
    const [name, namespace] = ['n'.repeat(253), 's'.repeat(63)];
    const path = `${logs}/${namespace}_${name}_u/main/0.log`;
    await linkLog(logs, {
      ...log(),
      pod: { metadata: { name, namespace } },
      container: 'c'.repeat(63),
      path,
    });
    expect(await links()).toHaveLength(1);
    await removeLinksOfPod(`${logs}/${namespace}_${name}_u`);
    expect(await links()).toEqual([]);
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

/**
 * install and uninstall for real, but in mount and network namespaces of their own: the machine's file system is read-only in
 * there, what is written lands on tmpfs, and systemctl is a script that notes what it was asked.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { findBusybox } from '#native/launch/busybox.ts';
import { repositoryRoot } from '#bin/paths.ts';

const setUp = `set -e
mount --bind "$SCRATCH" /mnt
mount --make-rprivate /
mount -o remount,bind,ro /
for each in /etc/systemd /run /tmp /var/lib; do mount -t tmpfs -o mode=755 own $each; done
mkdir -p /etc/systemd/system /run/systemd/system /tmp/bin
"$BUSYBOX" ip link set lo up
printf '#!/bin/sh\\necho "$@" >> /tmp/asked\\n' > /tmp/bin/systemctl
chmod 755 /tmp/bin/systemctl
touch /tmp/asked
export PATH=/tmp/bin:$PATH
unit=/etc/systemd/system/podwright-agent.service
podwright() { "$NODE" --disable-warning=ExperimentalWarning "$PROGRAM" "$@" 2>&1 || echo "rc $?"; }
unit_with() { printf '[Service]\\nExecStart=/opt/node /opt/bin/podwright.ts agent %s\\n' "$*" > $unit; }
set +e
`;

const busybox = findBusybox();

describe.skipIf(process.getuid?.() !== 0 || busybox === undefined)(
  'install and uninstall (needs root and a busybox)',
  () => {
    let scratch: string;
    const inSandbox = (script: string): string => {
      const { stdout, stderr, status } = spawnSync(
        'unshare',
        ['--mount', '--net', '--propagation', 'private', 'sh', '-c', `${setUp}${script}`],
        {
          encoding: 'utf8',
          env: {
            ...process.env,
            NODE_COMPILE_CACHE: join(repositoryRoot, 'build', 'compile-cache'),
            SCRATCH: scratch,
            BUSYBOX: busybox,
            NODE: process.execPath,
            PROGRAM: join(repositoryRoot, 'bin', 'podwright.ts'),
          },
        },
      );
      expect(status, stderr).toBe(0);
      return `${stdout}${stderr}`;
    };

    beforeAll(() => {
      scratch = mkdtempSync(join(tmpdir(), 'podwright-install-'));
      writeFileSync(join(scratch, 'outside'), 'kept');
    });

    afterAll(() => rmSync(scratch, { recursive: true, force: true }));

    it('says all that is wrong at once, in one line, and writes nothing', () => {
      const said = inSandbox(`
podwright install server --data /etc --listen 127.0.0.1:6443 --advertise-address 10.0.0.999 --node A=1 --service-cidr 10.244.0.0/20
podwright install agent --data /var/lib/p --node-ip 192.0.2.1 --node-name a --credentials /tmp/none --cgroup /etc
podwright install agent --data /var/lib/p --print --node-ip 127.0.0.1 --credentials /tmp/none
ls /etc/systemd/system /var/lib; cat /tmp/asked`);
      const lines = said.trim().split('\n');
      expect(lines.filter((line) => line === 'rc 2')).toHaveLength(3);
      for (const part of ['--advertise-address 10.0.0.999: not an IP', '--node A=1: "A": not a name', 'overlaps --cluster-cidr', 'use /etc as --data: it is a directory of the system']) expect(lines[0]).toContain(part); // prettier-ignore
      for (const part of ['no interface of this host has it', 'kubeconfig: ENOENT', 'DATA/nodes/NAME', 'use /etc as --cgroup']) expect(lines[2]).toContain(part); // prettier-ignore
      expect(lines.slice(-3)).toEqual(['/etc/systemd/system:', '', '/var/lib:']);
    });

    it('says of each file that a program is to read that it is not there', () => {
      const files = (...flags: readonly string[]): string =>
        flags.map((flag) => `${flag} /tmp/none`).join(' ');
      const server = [
        ...['--client-ca-file', '--requestheader-client-ca-file', '--service-account-key-file'],
        ...['--service-account-signing-key-file', '--authentication-config', '--authorization-config'],
        ...['--encryption-provider-config', '--admission-control-config-file', '--scheduler-config'],
        ...['--audit-webhook-config-file', '--authentication-token-webhook-config-file'],
      ];
      const said = inSandbox(`
podwright install server --data /var/lib/p --listen 127.0.0.1:6443 --advertise-address 127.0.0.1 ${files(...server)}
podwright install agent --data /var/lib/p --node-ip 127.0.0.1 --credentials /tmp/none --image-credential-provider-bin-dir /tmp ${files('--image-credential-provider-config')}
ls /etc/systemd/system /var/lib; cat /tmp/asked`);
      const lines = said.trim().split('\n');
      for (const flag of server) expect(lines[0]).toMatch(new RegExp(`${flag}(: read)? /tmp/none: ENOENT`));
      expect(lines[2]).toContain('--image-credential-provider-config /tmp/none: ENOENT');
      expect(lines.slice(-3)).toEqual(['/etc/systemd/system:', '', '/var/lib:']);
    });

    it('a node does not join where its unit could not be made', () => {
      const hash = `sha256:${'0'.repeat(64)}`;
      const line = `join https://127.0.0.1:1 --token abcdef.0123456789abcdef --ca-hash ${hash} --install --node-ip 127.0.0.1 --data /var/lib/p`;
      const said = inSandbox(`
podwright ${line} --run /run/${'x'.repeat(60)}
rmdir /run/systemd/system
podwright ${line}
ls -A /etc/systemd/system /var/lib; cat /tmp/asked`);
      const lines = said.trim().split('\n');
      expect(lines[0]).toMatch(
        /^podwright: install agent: --run .*: longer than 40 bytes;.* nothing was written$/,
      );
      expect(lines[2]).toMatch(/^podwright: use systemd: this host was not booted with it/);
      expect(lines.slice(-3)).toEqual(['/etc/systemd/system:', '', '/var/lib:']);
    });

    it('--print shows the unit and writes and starts nothing; without it the unit is written and started; a port in use is told', () => {
      const said = inSandbox(`
set -- install server --data /var/lib/p --listen 127.0.0.1:7597 --advertise-address 127.0.0.1 --node a=127.0.0.2
podwright "$@" --print
ls -A /etc/systemd/system /var/lib; cat /tmp/asked; echo ==
"$NODE" -e 'require("net").createServer().listen(7597,"127.0.0.1",()=>{console.log("listening");setTimeout(()=>process.exit(),20000)})' > /tmp/said &
while ! grep -q listening /tmp/said; do sleep 0.1; done
podwright "$@"
kill $!; wait $! 2>/dev/null
podwright "$@"; cat /tmp/asked
printf '[Service]\\nExecStart=/bin/true\\n' > /etc/systemd/system/podwright-server.service
podwright "$@"`);
      const [printed = '', rest = ''] = said.split('==\n');
      expect(printed).toContain('ExecStart=');
      expect(printed).toContain('RestartPreventExitStatus=2\n');
      expect(printed).not.toContain('--print');
      expect(printed.trim().split('\n').slice(-3)).toEqual(['/etc/systemd/system:', '', '/var/lib:']);
      expect(rest).toMatch(
        /^podwright: install server: --listen 127.0.0.1:7597: another program listens there; nothing was written\nrc 2\n/,
      );
      expect(rest).toContain(
        'daemon-reload\nenable --quiet podwright-server.service\nrestart podwright-server.service\n',
      );
      expect(rest).toMatch(/it does not start podwright server\nrc 1\n$/);
    });

    it('uninstall proves every directory and cgroup before it stops anything', () => {
      const said = inSandbox(
        `
mkdir -p /var/lib/foreign/x /run/foreign /tmp/data
mount --bind /mnt /var/lib/foreign/x
for arguments in '--data /var/lib/foreign --run /run/none' '--data /var/lib/none --run /run/foreign' '--data /etc --run /run/none' \\
  '--data /var/lib/none --run / ' '--data /var/lib/none --run /run/none --cgroup /' '--data /var/lib/none --run /run/none --cgroup /tmp/data' \\
  "--data /var/lib/none --run /run/none --cgroup $CGROUP" '--data relative --run /run/none'; do
  unit_with $arguments
  podwright uninstall agent
done
podwright uninstall agent --purge
cat /tmp/asked; ls -d /run/foreign /var/lib/foreign/x/outside $unit`.replace('$CGROUP', foreignCgroup()),
      );
      const lines = said.trim().split('\n');
      const refusals = lines.filter((line) => line.startsWith('podwright: '));
      expect(refusals).toHaveLength(9);
      for (const line of refusals) expect(line).toMatch(/nothing was (removed|ended)$|not an absolute path$/);
      expect(lines.slice(-3)).toEqual([
        '/etc/systemd/system/podwright-agent.service',
        '/run/foreign',
        '/var/lib/foreign/x/outside',
      ]);
      expect(said).not.toContain('disable');
      expect(existsSync(foreignCgroup())).toBe(true);
    });

    it('uninstall --purge removes what an agent made, with what is mounted below, and nothing through it', () => {
      const said = inSandbox(
        `
mkdir -p /var/lib/p/pods/u/volumes/v /var/lib/p/images /run/p/volumes/m /run/p/netns
mkdir -p /tmp/log/pods/default_web_u/main /tmp/log/containers
ln -s ../pods/default_web_u/main /tmp/log/containers/web_default_main-id.log
ln -s /var/log/pods/of/others /tmp/log/containers/other.log
for role in agent:/var/lib/p run:/run/p logs:/tmp/log/pods; do
  printf '{"version":1,"role":"%s","id":"b4f43e0e-2ffc-4f44-9a5d-8a86a1ddf8a6","made":true}' \${role%%:*} > \${role#*:}/.podwright-\${role%%:*}
done
echo mine > /var/lib/p/notes
for place in /var/lib/p/pods/u/volumes/v /run/p/volumes/m; do mount --bind /mnt $place; done
unit_with --data /var/lib/p --run /run/p --cgroup $CGROUP/none --pod-logs-dir /tmp/log/pods
podwright uninstall agent --purge
cat /tmp/asked; ls -A /tmp/log /tmp/log/containers; ls -A /var/lib/p /run /mnt; ls $unit; grep -c '/run/p\\|/var/lib/p' /proc/self/mountinfo; true`.replaceAll(
          '$CGROUP',
          foreignCgroup(),
        ),
      );
      expect(said).toContain(
        "podwright-agent.service removed; /var/lib/p stays: notes in it is not podwright's\n",
      );
      expect(said).toContain('disable --now --quiet podwright-agent.service\ndaemon-reload\n');
      expect(said).toMatch(/\/mnt:\noutside\n/);
      expect(said).toContain('/tmp/log:\ncontainers\n\n/tmp/log/containers:\nother.log\n');
      expect(said).toMatch(/\/run:\n(mount\n)?systemd\n/);
      expect(said).toMatch(/\/var\/lib\/p:\nnotes\n/);
      expect(said).toMatch(/^0$/m);
    });

    let cgroup: string | undefined;
    /** A cgroup that no agent made. */
    function foreignCgroup(): string {
      if (cgroup !== undefined) return cgroup;
      const mount = execFileSync('sh', ['-c', 'awk \'$3 == "cgroup2" {print $2; exit}\' /proc/mounts'], {
        encoding: 'utf8',
      }).trim();
      cgroup = execFileSync('mktemp', ['-d', join(mount, 'test-install-XXXXXX')], {
        encoding: 'utf8',
      }).trim();
      return cgroup;
    }

    afterAll(() => {
      if (cgroup !== undefined) execFileSync('rmdir', [cgroup]);
    });
  },
);

import { describe, expect, it } from 'vitest';

import { argumentOf, argumentsOf, parseUnitArguments, renderUnit, unitName } from './systemd.ts';

const programs = {
  server: ['/opt/podwright/node', '/opt/podwright/bin/podwright.ts', 'server'],
  agent: ['/opt/podwright/node', '--max-semi-space-size=8', '/opt/podwright/bin/podwright.ts', 'agent'],
};
const environment = { NODE_COMPILE_CACHE: '/opt/podwright/build/compile-cache' };

describe('renderUnit()', () => {
  it('writes a server that systemd ends with all its processes', () => {
    expect(
      renderUnit({
        role: 'server',
        program: programs.server,
        arguments: ['--data', '/var/lib/podwright/server'],
        environment,
      }),
    ).toBe(`[Unit]
Description=podwright server: API server, scheduler, controllers
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStart=/opt/podwright/node /opt/podwright/bin/podwright.ts server --data /var/lib/podwright/server
Environment=NODE_COMPILE_CACHE=/opt/podwright/build/compile-cache
Restart=always
RestartSec=1
RestartPreventExitStatus=2
TimeoutStartSec=600
WatchdogSec=60
LimitNOFILE=1048576
TasksMax=infinity
KillMode=mixed
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
`);
  });

  it('writes an agent that comes and goes without its pods', () => {
    const unit = renderUnit({
      role: 'agent',
      program: programs.agent,
      arguments: ['--node-name', 'a'],
      environment: { ...environment, MALLOC_ARENA_MAX: '2' },
    });
    expect(unit).toContain('After=network-online.target podwright-server.service\n');
    expect(unit).toContain(
      'ExecStart=/opt/podwright/node --max-semi-space-size=8 /opt/podwright/bin/podwright.ts agent --node-name a\nEnvironment=NODE_COMPILE_CACHE=/opt/podwright/build/compile-cache MALLOC_ARENA_MAX=2\n',
    );
    expect(unit).toContain('KillMode=process\nDelegate=yes\nOOMScoreAdjust=-999\n');
  });

  it('keeps every word of the command as it is, whatever systemd would make of it', () => {
    const words = ['--data', '/a b/100%/$HOME/"q"/back\\slash', '', '--node', 'n=10.0.0.1'];
    const unit = renderUnit({ role: 'server', program: programs.server, arguments: words, environment });
    expect(unit).toContain('"/a b/100%%/$$HOME/\\"q\\"/back\\\\slash" "" --node n=10.0.0.1\n');
    expect(parseUnitArguments(unit, 'server')).toEqual(words);
  });

  it('refuses a word that would end the line', () => {
    const render = (): string =>
      renderUnit({ role: 'agent', program: programs.agent, arguments: ['a\nExecStartPre=b'], environment });
    expect(render).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

describe('parseUnitArguments()', () => {
  it('refuses a unit of somebody else', () => {
    expect(() => parseUnitArguments('[Service]\nExecStart=/bin/true\n', 'agent')).toThrow(
      'read podwright-agent.service: it does not start podwright agent',
    );
  });
});

describe('argumentsOf()', () => {
  it('turns parsed options to words again, paths absolute', () => {
    const words = argumentsOf({
      nodeName: 'a',
      data: '/var/lib/../lib/x',
      node: ['a=1', 'b=2'],
      podRoutes: true,
      keep: false,
      cgroup: undefined,
      listenFd: 3,
    });
    expect(words.join(' ')).toBe(
      '--data /var/lib/x --listen-fd 3 --node a=1 --node b=2 --node-name a --pod-routes',
    );
    expect([argumentOf(words, '--node'), argumentOf(words, '--run')]).toEqual(['b=2', undefined]);
  });
});

it('unitName() names the unit after its role', () => {
  expect(unitName('agent')).toBe('podwright-agent.service');
});

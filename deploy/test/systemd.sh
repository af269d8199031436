#!/usr/bin/env bash
# systemd.sh installs the built program into a folder and looks at what is there, with systemd's own checks of the unit.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need make systemd-analyze
[[ -x $REPOSITORY/bin/mess-exchange ]] || die "no bin/mess-exchange: run make build"
work=$(mktemp -d /tmp/mess-exchange-systemd-XXXXXX)
trap 'rm -rf "$work"' EXIT

make -s -C "$REPOSITORY" install DESTDIR="$work" PREFIX=/opt/mess
equal "installed files" "$(cd "$work" && find . -type f -printf '%p %m\n' | sort | xargs)" \
  "./opt/mess/bin/mess-exchange 755 ./opt/mess/lib/systemd/system/mess-exchange.service 644"
cmp "$REPOSITORY/bin/mess-exchange" "$work/opt/mess/bin/mess-exchange" || die "another program was installed than was built"
unit=$work/opt/mess/lib/systemd/system/mess-exchange.service
equal "the unit starts" "$(sed -n 's/^ExecStart=//p' "$unit")" /opt/mess/bin/mess-exchange

# verify wants the program to be where the unit says.
verified=$work/mess-exchange.service
sed "s,^ExecStart=/opt,ExecStart=$work/opt," "$unit" >"$verified"
complaints=$(systemd-analyze verify --man=no "$verified" 2>&1) || die "systemd-analyze verify: $complaints"
equal "what systemd-analyze verify says" "$complaints" ""
# 10 is no protection at all, 0 is all there is. What is left is that it uses the network.
systemd-analyze security --offline=true --threshold=15 "$verified" >"$work/security" || die "the unit is less protected than it was: $(tail -1 "$work/security")"
say "the unit: $(tail -1 "$work/security" | grep -oE '[0-9.]+ [A-Z]+')"

# What a person sees first at dom0's shell. Waits for the demonstration guest, when it is asked for.
if grep -qw bulkhead.demo /proc/cmdline && [ -t 0 ]; then
    echo "Waiting for the demonstration guest (Ctrl-c: don't wait)"
    i=0
    while [ $i -lt 120 ]; do
        case $(systemctl is-active bulkhead-demo) in active | failed) break ;; esac
        sleep 1
        i=$((i + 1))
    done
    systemctl is-failed -q bulkhead-demo && systemctl --no-pager -n 20 status bulkhead-demo
    echo
    xl list
    echo
    echo "This is dom0. The guest's console: xl console demo  (leave it with Ctrl-])"
    echo "To leave: poweroff, or kill QEMU with Ctrl-a x"
    echo
fi

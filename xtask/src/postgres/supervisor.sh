# The life of a throwaway server, from creating its files to removing them.
#
# Standard input is the pipe that the server's users hold open. What they write:
#   user   one more uses the server
#   leave  one leaves and expects nobody else to come
#   keep   go on without users
#   stop   end now
# Standard output gets the port as soon as the server can be used. Standard error is the log.

nest=$1
linger=$2
shift 2

quietly() {
    "$@" </dev/null >&2
}

end() {
    trap '' HUP INT TERM
    rm -f "$nest/server"
    if [ -f data/postmaster.pid ]; then
        quietly "$PROGRAMS/pg_ctl" stop --pgdata=data --mode=immediate
    fi
    cd / && rm -rf "$nest"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

create() {
    if [ -n "$PRIMARY" ]; then
        quietly "$PROGRAMS/pg_basebackup" --pgdata=data --dbname="$PRIMARY" --write-recovery-conf \
            --checkpoint=fast --no-sync
    else
        printf '%s\n' "$PASSWORD" >password
        quietly "$PROGRAMS/initdb" --pgdata=data --username=evercore --pwfile=password \
            --encoding=UTF8 --locale=C --no-sync --no-instructions
    fi &&
        printf '%s' "$SETTINGS" >>data/postgresql.conf &&
        printf '%s' "$ACCESS" >data/pg_hba.conf
}

start() {
    for port; do
        printf 'port = %s\n' "$port" >>data/postgresql.conf
        if quietly "$PROGRAMS/pg_ctl" start --pgdata=data --log=log; then
            echo "$port"
            exec >&2
            return
        fi
    done
    return 1
}

# Returns when the server is no longer wanted.
wait_for_users() {
    while :; do
        last=''
        while read -r line; do
            case $line in
            stop) return ;;
            keep) exec 3>users ;;
            esac
            last=$line
        done
        case $last in
        '' | leave) break ;;
        esac
        sleep "$linger"
    done
    # From here on nobody comes. Who came just before may stay.
    rm -f server
    while read -r line; do
        :
    done
}

umask 077
echo $$ >supervisor
create && start "$@" && wait_for_users

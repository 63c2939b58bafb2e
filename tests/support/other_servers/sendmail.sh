# Starts a Sendmail with a host's name, SASL configuration and certificates of its own, and nobody to ask for names.
set -e
hostname mail.police.example
mount --bind "$1/sasl" /usr/lib/sasl2
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
exec "$2/usr/libexec/sendmail/sendmail" -C "$1/sendmail.cf" -bD -O LogLevel=0 -X "$1/log"

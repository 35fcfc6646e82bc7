/**
 * A second certificate that signs itself, and its key, for tests of SNI: tapstack.example and *.tapstack.example, 2020 to 2120. Made by
 * openssl(1) for tests only, and of no worth elsewhere.
 */
export const SECOND_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNwKftHf5X1/Pw+kp
ugV6xywzNVisBIRJRt76rk0xS8ChRANCAAQRPqDaV7I3XwlGWOQmdQXtKbv2hXqu
1OSy2iXmDoG5Of8259y4l/vXp5qPSn/a5xiRFem+rJYN4V2J7ilUZtV4
-----END PRIVATE KEY-----`

export const SECOND_CERT = `-----BEGIN CERTIFICATE-----
MIIBijCCATCgAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBB0YXBzdGFj
ay5leGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkw
FwYDVQQDDBB0YXBzdGFjay5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEET6g2leyN18JRljkJnUF7Sm79oV6rtTkstol5g6BuTn/NufcuJf716eaj0p/
2ucYkRXpvqyWDeFdie4pVGbVeKNjMGEwLwYDVR0RBCgwJoIQdGFwc3RhY2suZXhh
bXBsZYISKi50YXBzdGFjay5leGFtcGxlMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0O
BBYEFOLZ+RFkpb1H5Y4eSq+BHsngRhXiMAoGCCqGSM49BAMCA0gAMEUCIQCOjV+A
w+75Y2Ww/MXQOJHn2ToNC89jcvHeLWkDDvAUYgIgDOaT+VrdrwHtL/bb4iPGqHMA
WeyuHkhFqMzyzqxBd2A=
-----END CERTIFICATE-----`
